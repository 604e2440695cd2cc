"""What makes a copy: enough in common, in order, the same picture where there are pictures, else the same sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.clusters.compare import Comparer, Seen
from pipelines.clusters.links import Basis
from tests.pipelines.copyright.drawn import WIDE, fingerprint, footage, plain_space, tune

FILM, OTHER = footage(0, 40), footage(1, 40)
NO_FRAMES = np.zeros((0, WIDE), np.float32)


def compared(*prints, look=None, stopped=None):
    """The first as the medoid with all others; `look` is what is seen, or a function that says so."""
    known = dict(enumerate(prints))
    comparer = Comparer(plain_space(), lambda wanted: {one: known[one] for one in wanted}, stopped or {})
    if look:
        comparer.look = look if callable(look) else lambda *_: look
    return comparer(0, list(known)[1:])


def in_short(link):
    return [(one.start_ms, one.end_ms, one.medoid_start_ms, one.medoid_end_ms) for one in link.stretches], link.basis


def test_a_copy_and_an_excerpt_are_found_where_they_are():
    excerpt = np.concatenate([OTHER[:10], FILM[20:32]])

    found = compared(fingerprint(FILM), fingerprint(FILM), fingerprint(excerpt), fingerprint(OTHER))

    assert in_short(found[1]) == ([(0, 39_500, 0, 39_500)], Basis.ALIGNED)
    assert in_short(found[2]) == ([(9500, 21_500, 19_500, 31_500)], Basis.ALIGNED)
    assert found.keys() == {1, 2}


@pytest.mark.parametrize(
    ("seen", "basis"),
    [(Seen.SAME, Basis.VERIFIED), (Seen.OTHER, None), (Seen.DOUBT, None), (Seen.NOTHING, Basis.ALIGNED)],
)
def test_pictures_decide(seen, basis):
    found = compared(fingerprint(FILM), fingerprint(FILM), look=(seen, 0.9))

    assert [link.basis for link in found.values()] == ([basis] if basis else [])


def test_sound_settles_a_doubt_and_nothing_else():
    heard = [fingerprint(FILM, peaks=tune(1, 40)), fingerprint(FILM, peaks=tune(1, 40))]

    assert compared(*heard, look=(Seen.DOUBT, 0.4))[1].basis is Basis.SOUND
    assert compared(*heard, look=(Seen.OTHER, 0.0)) == {}


@pytest.mark.parametrize(
    ("from_it", "from_medoid", "heard", "basis"),
    [
        (Seen.SAME, Seen.SAME, False, Basis.VERIFIED),
        (Seen.SAME, Seen.DOUBT, False, None),
        (Seen.SAME, Seen.OTHER, False, None),
        (Seen.DOUBT, Seen.SAME, True, Basis.SOUND),
        (Seen.OTHER, Seen.SAME, True, Basis.SOUND),
        (Seen.DOUBT, Seen.DOUBT, True, Basis.SOUND),
        (Seen.DOUBT, Seen.OTHER, True, None),
    ],
)
def test_both_sides_are_looked_at_from(from_it, from_medoid, heard, basis):
    def look(upload, medoid, match):
        assert (upload, medoid) in ((0, 1), (1, 0))
        assert match.place(10_000) - 10_000 == pytest.approx(2000 if upload else -2000, abs=600)
        return (from_it if upload else from_medoid), 0.95

    peaks = [tune(1, 40), later(tune(1, 40), 2000)] if heard else [tune(1, 40), tune(3, 38)]
    film = fingerprint(FILM, peaks=peaks[0]), fingerprint(FILM[2:], peaks=peaks[1])

    assert [link.basis for link in compared(*film, look=look).values()] == ([basis] if basis else [])


def test_sound_says_where_pictures_are_held_against_each_other():
    """Every second of the picture is like every other one; the sound is that of seconds 20 to 40."""
    still = np.repeat(FILM[:1], 40, axis=0)
    looked = []

    def look(upload, medoid, match):
        looked.append(match.place(5000) - 5000)
        right = abs(abs(looked[-1]) - 20_000) < 500
        return (Seen.SAME if right else Seen.OTHER), 0.95

    found = compared(
        fingerprint(still, peaks=tune(1, 40)), fingerprint(still[:20], peaks=later(tune(1, 40), 20_000)), look=look
    )

    assert (found[1].basis, found[1].stretches[0].form) == (Basis.VERIFIED, "Audio")
    assert found[1].stretches[0].medoid_start_ms == pytest.approx(20_000, abs=1000)


def later(peaks, start_ms):
    """What is heard from some time on."""
    keep = peaks.time_ms >= start_ms
    return replace(peaks, time_ms=peaks.time_ms[keep] - np.int32(start_ms), pitch=peaks.pitch[keep])


def test_what_changes_says_where_pictures_are_held_against_each_other():
    """A game: all frames are mostly the same picture, and what changes is a small part of each."""

    def seen_at(numbers):
        mixed = 3 * FILM[:1] + OTHER[numbers]
        return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)

    def look(score):
        return lambda _, __, match: (
            (Seen.SAME, score) if abs(abs(match.place(4000) - 4000) - 7000) < 500 else (Seen.DOUBT, 0.4)
        )

    long, short = (fingerprint(seen_at(np.arange(*part)), quality=30) for part in ((20,), (7, 17)))  # no hash tells

    [line] = [(one.start_ms, one.medoid_start_ms) for one in compared(long, short, look=look(0.95))[1].stretches]
    assert line[1] - line[0] == pytest.approx(7000, abs=500)
    assert compared(long, short, look=look(0.85)) == {}  # nothing else speaks for it


def test_the_same_song_under_other_pictures_is_no_copy():
    song = tune(2, 40)

    assert compared(fingerprint(FILM, peaks=song), fingerprint(OTHER, peaks=song)) == {}
    assert compared(fingerprint(FILM, peaks=song), fingerprint(OTHER, peaks=song), look=(Seen.OTHER, 0.0)) == {}


def test_what_shows_nothing_is_compared_by_sound():
    song, film = tune(2, 40), fingerprint(FILM, peaks=tune(2, 40))
    silent = [fingerprint(NO_FRAMES, peaks=song, duration_ms=40_000), fingerprint(OTHER, quality=0, peaks=song)]

    found = compared(film, *silent)

    assert {other: link.basis for other, link in found.items()} == {1: Basis.SOUND, 2: Basis.SOUND}
    assert found[1].stretches[0].form == "Audio"


def test_little_in_common_is_no_copy():
    intro, third = np.concatenate([FILM[:6], OTHER[:34]]), np.concatenate([FILM[:14], OTHER[:26]])

    assert compared(fingerprint(FILM), fingerprint(intro), fingerprint(third)).keys() == {2}


def test_what_stops_joins_nobody():
    """Two short videos that are half an intro, which is known to be one."""
    one, other = np.concatenate([FILM[:6], OTHER[:6]]), np.concatenate([FILM[:6], OTHER[20:26]])

    assert compared(fingerprint(one), fingerprint(other)).keys() == {1}
    assert compared(fingerprint(one), fingerprint(other), stopped={1: [(0, 6000)]}) == {}
    assert compared(fingerprint(one), fingerprint(one), stopped={1: [(0, 6000)]}).keys() == {1}


def test_a_picture_has_no_length():
    found = compared(fingerprint(FILM[:1], duration_ms=0), fingerprint(FILM[:1], duration_ms=0), look=(Seen.SAME, 0.9))

    assert in_short(found[1]) == ([(0, 1, 0, 1)], Basis.VERIFIED)
    assert found[1].turned().overlap(0, 1) == 1


def test_several_stretches_count_together():
    shuffled = np.concatenate([FILM[30:36], OTHER[:12], FILM[10:16], OTHER[12:28]])
    link = compared(fingerprint(FILM), fingerprint(shuffled))[1]

    assert len(link.stretches) == 2
    assert link.overlap(0, 40_000) == pytest.approx(12_000, abs=500)
    assert replace(link, score=1.0).turned().turned().stretches == link.stretches
