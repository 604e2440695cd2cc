"""Matching a batch with a bank: who is found in whom, however the bank is cut, and what negatives take away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.copyright.match import NEGATIVE_MARGIN, Found, Shard, matches, spread, without_negatives
from pipelines.copyright.picture.hits import NEAREST, FrameHits
from pipelines.copyright.sound.index import AudioSpan
from tests.pipelines.copyright.drawn import WIDE, fingerprint, footage, plain_space, tune

FILMS = {number: footage(number, 60) for number in range(4)}
REFERENCES = [(number, fingerprint(film)) for number, film in FILMS.items()]
DURATIONS = {number: print_.duration_ms for number, print_ in REFERENCES}
NOBODY = footage(7, 20)
UPLOADS = [
    (0, fingerprint(FILMS[2][10:30])),
    (1, fingerprint(NOBODY)),
    (2, fingerprint(np.concatenate([NOBODY[:5], FILMS[1][40:60], FILMS[3][:20]]))),
    (3, fingerprint(np.zeros((0, WIDE), np.float32))),
]


def shards(*parts) -> list[Shard]:
    return [Shard([REFERENCES[number] for number in part], plain_space()) for part in parts]


def matched(parts=((0, 1, 2, 3),), uploads=UPLOADS, negative=frozenset()):
    return matches([shard.find(uploads) for shard in shards(*parts)], uploads, DURATIONS, negative)


def in_short(found):
    return [(one.reference, one.match.form, one.match.start_ms, one.match.end_ms) for one in found]


def rounded(found):
    """Hits come in another order from another cut, and sums are rounded in another order."""
    return {
        number: [
            (
                one.reference,
                [round(value, 6) if isinstance(value, float) else value for value in vars(one.match).values()],
            )
            for one in those
        ]
        for number, those in found.items()
    }


class TestMatches:
    def test_each_upload_has_what_was_found_of_it(self):
        found = matched()

        assert in_short(found[0]) == [(2, "Image", 0, 19_500)]
        assert found[0][0].match.ref_start_ms == pytest.approx(10_000, abs=5)
        assert found[0][0].match.ref_end_ms == pytest.approx(29_500, abs=5)
        assert found[1] == []
        assert sorted(in_short(found[2])) == [(1, "Image", 4500, 24_500), (3, "Image", 24_500, 44_500)]
        assert found[3] == []

    def test_claims_of_one_upload_have_numbers_of_their_own(self):
        claims = [one.match.claim for one in matched()[2]]

        assert len(set(claims)) == 2

    @pytest.mark.parametrize("parts", [((0, 1), (2, 3)), ((3,), (1,), (0,), (2,)), ((0, 1, 2, 3), ())])
    def test_however_the_bank_is_cut_the_matches_are_the_same(self, parts):
        """Of a bank so small that every frame of it is among the nearest, in one shard or in several."""
        references = {number: fingerprint(FILMS[number][: NEAREST // 4]) for number in FILMS}
        uploads = [(0, references[2]), (1, UPLOADS[2][1]), (2, UPLOADS[1][1])]

        def found(parts):
            cut = [Shard([(number, references[number]) for number in part], plain_space()) for part in parts]
            return rounded(matches([shard.find(uploads) for shard in cut], uploads, DURATIONS))

        assert found(parts) == found([[0, 1, 2, 3]])
        assert [bool(rows) for rows in found(parts).values()] == [True, True, False]

    def test_one_upload_at_a_time_gives_the_same(self):
        alone = {number: matched(uploads=[(number, print_)])[number] for number, print_ in UPLOADS}

        assert rounded(alone) == rounded(matched())

    def test_no_upload_and_no_reference(self):
        assert matched(uploads=[]) == {}
        assert matched(parts=((),)) == {number: [] for number, _ in UPLOADS}

    def test_the_surest_first(self):
        short_and_long = fingerprint(np.concatenate([FILMS[1][40:42], NOBODY, FILMS[3][:30]]))
        scores = [one.match.claim_score for one in matched(uploads=[(0, short_and_long)])[0]]

        assert scores == sorted(scores, reverse=True)

    def test_picture_and_sound_of_one_reference_are_one_claim(self):
        film = fingerprint(FILMS[0], peaks=tune(5, 60))
        copy = fingerprint(FILMS[0], peaks=tune(5, 60))
        found = Shard([(8, film)], plain_space()).find([(0, copy)])
        both = matches([found], [(0, copy)], {8: 60_000})[0]

        assert sorted(one.match.form for one in both) == ["Audio", "Image"]
        assert {one.match.claim for one in both} == {0}
        assert all(one.match.claim_score >= one.match.score for one in both)

    def test_sound_alone(self):
        film, copy = fingerprint(FILMS[0], peaks=tune(5, 60)), fingerprint(NOBODY, peaks=tune(5, 60).between(0, 20_000))
        found = Shard([(8, film)], plain_space()).find([(0, copy)])

        assert [one.match.form for one in matches([found], [(0, copy)], {8: 60_000})[0]] == ["Audio"]


class TestBeneath:
    """The pictures under a sound that was found are looked at too, for they may be the film's."""

    FILM, COPY = fingerprint(FILMS[0], peaks=tune(5, 60)), fingerprint(NOBODY, peaks=tune(5, 60).between(0, 20_000))

    def found(self, check):
        shard = Shard([(8, self.FILM)], plain_space())
        return matches([shard.find([(0, self.COPY)])], [(0, self.COPY)], {8: 60_000}, check=check)[0]

    def test_verified_they_make_the_claim_surer(self):
        def verified(_, nominated):
            return [replace(one, match=replace(one.match, score=0.9, verified="verified")) for one in nominated]

        alone = self.found(lambda *_: [])
        both = self.found(verified)

        assert [one.match.form for one in alone] == ["Audio"]
        assert sorted(one.match.form for one in both) == ["Audio", "Image"]
        assert both[0].match.claim_score > alone[0].match.claim_score
        assert {(one.match.start_ms, one.match.ref_start_ms) for one in both} == {
            (alone[0].match.start_ms, alone[0].match.ref_start_ms)
        }

    def test_a_song_under_another_film_stays_a_song(self):
        asked = []

        def doubtful(_, nominated):
            asked.extend(nominated)
            return nominated

        assert [one.match.form for one in self.found(doubtful)] == ["Audio"]
        assert [(one.reference, one.match.form, one.match.score) for one in asked] == [(8, "Image", 0.0)]


def hits(*rows) -> FrameHits:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return FrameHits(*(np.array(column, np.int64) for column in columns[:4]), np.array(columns[4], float))


def span(reference, start_ms, end_ms) -> AudioSpan:
    return AudioSpan(reference, start_ms, end_ms, start_ms, end_ms, 1.0, 0, 50, 0.75)


class TestNegatives:
    def test_a_film_that_is_on_a_negative_reference_too_is_not_found(self):
        """The second stands in the bank twice, once as negative: a broadcaster's own trailer, say."""
        references = [*REFERENCES, (9, fingerprint(FILMS[2][:40]))]
        shard = Shard(references, plain_space())
        found = matches([shard.find(UPLOADS)], UPLOADS, DURATIONS | {9: 40_000}, frozenset({9}))

        assert in_short(found[0]) == []
        assert len(found[2]) == 2

    def test_only_the_frames_that_look_like_it(self):
        found = without_negatives(
            hits((0, 0, 1, 0, 0.9), (0, 1000, 1, 1000, 0.9), (1, 0, 1, 0, 0.9), (0, 0, 7, 0, 0.9)), frozenset({7})
        )

        assert list(zip(found.query, found.query_ms, strict=True)) == [(0, 1000), (1, 0)]
        assert 7 not in found.reference

    def test_what_looks_much_less_like_the_negative_one_stays(self):
        kept = without_negatives(hits((0, 0, 1, 0, 0.9), (0, 0, 7, 0, 0.9 - 1.5 * NEGATIVE_MARGIN)), frozenset({7}))
        gone = without_negatives(hits((0, 0, 1, 0, 0.9), (0, 0, 7, 0, 0.9 - 0.5 * NEGATIVE_MARGIN)), frozenset({7}))

        assert (kept.reference.tolist(), gone.reference.tolist()) == ([1], [])

    def test_without_negatives_nothing_changes(self):
        given = hits((0, 0, 1, 0, 0.9))

        assert without_negatives(given, frozenset()) is given
        assert len(without_negatives(hits(), frozenset({7})).query) == 0

    @pytest.mark.parametrize(
        ("negative", "left"),
        [((0, 10_000), 0), ((0, 4999), 1), ((5000, 20_000), 0), ((5001, 20_000), 1), ((20_000, 30_000), 1)],
    )
    def test_sound_that_mostly_lies_under_a_negative_one_goes(self, negative, left):
        upload = fingerprint(NOBODY)
        found = Found(hits(), ((0, span(1, 0, 10_000)), (0, span(7, *negative)), (5, span(7, 0, 10_000))))

        assert len(matches([found], [(0, upload)], {1: 60_000}, frozenset({7}))[0]) == left


class TestSpread:
    def test_by_hand(self):
        assert spread([5, 1, 4, 2], 2) == [[0, 1], [2, 3]]

    def test_one_shard_and_no_reference(self):
        assert spread([], 3) == [[], [], []]
        assert sorted(spread([3, 1, 2], 1)[0]) == [0, 1, 2]

    @given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 6))
    def test_everything_is_dealt_once_and_evenly(self, sizes, count):
        dealt = spread(sizes, count)
        loads = [sum(sizes[number] for number in shard) for shard in dealt]

        assert sorted(number for shard in dealt for number in shard) == list(range(len(sizes)))
        assert len(dealt) == count
        assert max(loads) - min(loads) <= max(sizes, default=0)


def test_a_shard_holds_frames_and_sound_under_the_callers_numbers():
    shard = Shard([(40, fingerprint(FILMS[0], peaks=tune(1))), (7, replace(REFERENCES[1][1]))], plain_space())

    assert set(shard.frames.owner.tolist()) == {40, 7}
    assert shard.sound.numbers == [40]
