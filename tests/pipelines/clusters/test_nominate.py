"""Which contents are compared: copies and excerpts are, what only shares an intro is not."""

from __future__ import annotations

import numpy as np

from pipelines.clusters.nominate import OFTEN, by_sound, nominate
from pipelines.clusters.windows import Vectors, clip_of
from tests.pipelines.copyright.drawn import WIDE, fingerprint, tune

GENERATOR = np.random.default_rng(5)


def shot(seconds, like=None, change=0.3):
    """Frames of one picture, or of one like it; random ones are unlike each other."""
    picture = GENERATOR.standard_normal(WIDE) if like is None else like[0] / np.linalg.norm(like[0])
    frames = picture / np.linalg.norm(picture) + change * GENERATOR.standard_normal((seconds, WIDE)) / np.sqrt(WIDE)
    return (frames / np.linalg.norm(frames, axis=1, keepdims=True)).astype(np.float32)


def film(*shots):
    return np.concatenate(shots)


def nominated(films, known=()):
    """Pairs of names; `known` ones were compared before."""
    vectors = Vectors.of({name: clip_of(fingerprint(frames)) for name, frames in films.items()}, WIDE)
    new = np.array([name not in known for name in vectors.contents])
    found = nominate(vectors, new, np.zeros(len(vectors), np.bool_))
    names = {tuple(vectors.contents[n] for n in pair) for pair in found.pairs}
    return names, {vectors.contents[n] for n in vectors.owner[found.stopped].tolist()}


def test_copies_and_excerpts_are_nominated_and_nothing_else():
    one, other = [shot(6) for _ in range(4)], [shot(6) for _ in range(4)]
    films = {
        "a": film(*one),
        "b": film(*(shot(6, each) for each in one)),  # a copy
        "c": film(shot(6, one[2])),  # a quarter of it
        "d": film(shot(7), shot(6, one[1]), shot(9)),  # a quarter of it within others
        "e": film(*other),
        "f": film(shot(20)),
    }

    pairs, stopped = nominated(films)

    assert {("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d")} == pairs
    assert not stopped


def test_what_many_begin_with_stops():
    intro = shot(4)
    films = {f"v{n:02}": film(shot(4, intro), shot(8), shot(9)) for n in range(OFTEN + 3)}
    assert nominated(films) == (set(), set(films))

    few = dict(list(films.items())[: OFTEN - 4])
    pairs, stopped = nominated(few)
    assert len(pairs) == len(few) * (len(few) - 1) // 2  # comparing says that they share too little
    assert not stopped


def test_what_is_copied_often_does_not_stop():
    one = [shot(6) for _ in range(4)]
    films = {f"v{n:02}": film(*(shot(6, each) for each in one)) for n in range(OFTEN + 3)}

    pairs, stopped = nominated(films)

    assert not stopped
    assert len(pairs) == len(films) * (len(films) - 1) // 2


def test_what_was_compared_is_not_compared_again():
    one = [shot(6) for _ in range(3)]
    films = {name: film(*(shot(6, each) for each in one)) for name in "abcd"}

    assert nominated(films, known="abc")[0] == {("a", "d"), ("b", "d"), ("c", "d")}
    assert nominated(films, known="abcd")[0] == set()


def test_sound_nominates_what_is_heard():
    song, other = tune(1), tune(2)

    assert set(by_sound([(0, song), (1, other), (2, song)], [])) == {(0, 2)}
    assert set(by_sound([(3, other)], [(0, song), (1, other)])) == {(1, 3)}
