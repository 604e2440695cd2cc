"""Hits: frames that look alike or hash alike are found, and plain ones are nobody's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.copyright.picture import pdq
from pipelines.copyright.picture.hits import FLAT, LEAST, FrameHits, Frames, find, hash_evidence, picture_evidence
from tests.pipelines.copyright.drawn import WIDE, fingerprint, footage, plain_space

SPACE = plain_space()
BARE = pdq.GOOD - 1  # of this quality a hash says nothing, and a descriptor does


def frames(*prints, first=0) -> Frames:
    return Frames.of(list(enumerate(prints, first)), WIDE)


def as_pairs(hits: FrameHits) -> dict[tuple[int, int, int, int], float]:
    """The best evidence of each pair of frames."""
    found = {}
    for *frame, evidence in zip(hits.query, hits.query_ms, hits.reference, hits.ref_ms, hits.evidence, strict=True):
        pair = tuple(map(int, frame))
        found[pair] = max(found.get(pair, 0), float(evidence))
    return found


class TestDescriptors:
    def test_a_frame_is_found_where_it_stands_in_the_reference(self):
        film, other = footage(1, 6), footage(2, 4)
        bank = frames(fingerprint(other, quality=BARE), fingerprint(film, quality=BARE), first=10)
        found = as_pairs(find(frames(fingerprint(film[2:4], quality=BARE)), bank, SPACE))

        assert set(found) >= {(0, 0, 11, 2000), (0, 1000, 11, 3000)}
        assert found[0, 0, 11, 2000] == pytest.approx(found[0, 1000, 11, 3000], abs=0.01)
        assert all(
            evidence < found[0, 0, 11, 2000] / 2 for pair, evidence in found.items() if pair[3] - pair[1] != 2000
        )

    def test_what_looks_like_everything_says_less(self):
        film = footage(1, 2)
        common = plain_space(background_BD=film[:1])
        bank, asked = (frames(fingerprint(film, quality=BARE)) for _ in range(2))
        before, after = (as_pairs(find(asked, bank, space)) for space in (SPACE, common))

        assert after.get((0, 0, 0, 0), 0) < before[0, 0, 0, 0] - 0.01
        assert after[0, 1000, 0, 1000] == pytest.approx(before[0, 1000, 0, 1000], abs=0.05)


class TestHashes:
    def test_the_same_hash_is_a_hit_whatever_the_descriptors_say(self):
        one, other = fingerprint(footage(1, 3)), fingerprint(footage(2, 3))
        found = as_pairs(find(frames(replace(one, pdq_NB=other.pdq_NB)), frames(other), SPACE))

        assert {(0, ms, 0, ms) for ms in (0, 1000, 2000)} <= set(found)
        assert min(found[0, ms, 0, ms] for ms in (0, 1000, 2000)) > 0.9

    @pytest.mark.parametrize("way", range(5))
    def test_also_mirrored_and_turned(self, way):
        one, other = fingerprint(footage(1, 3)), fingerprint(footage(2, 3))
        turned = replace(one, pdq_NB=pdq.turns(other.pdq_NB)[way])
        found = as_pairs(find(frames(turned), frames(other), SPACE))

        assert min(found[0, ms, 0, ms] for ms in (0, 1000, 2000)) > 0.9

    def test_a_hash_of_little_quality_says_nothing(self):
        one, other = (fingerprint(footage(seed, 3), quality=BARE) for seed in (1, 2))
        found = as_pairs(find(frames(replace(one, pdq_NB=other.pdq_NB)), frames(other), SPACE))

        assert all(evidence < 0.5 for evidence in found.values())

    def test_only_rows_with_a_hash_are_named(self):
        """The hashed frames are the second and third of each; a number among the hashed is no row."""
        film = footage(1, 3)
        quality = np.array([FLAT, 100, 100], np.uint8)
        one = replace(fingerprint(footage(2, 3)), pdq_NB=fingerprint(film).pdq_NB, pdq_quality=quality)
        other = replace(fingerprint(film), pdq_quality=quality)
        found = as_pairs(find(frames(one, first=5), frames(other), SPACE))

        assert {pair for pair, evidence in found.items() if evidence > 0.9} == {(5, 1000, 0, 1000), (5, 2000, 0, 2000)}


class TestPlainFrames:
    @pytest.mark.parametrize("side", ["upload", "bank"])
    def test_they_are_left_out(self, side):
        film = footage(1, 3)
        whole = fingerprint(film)
        faded = replace(whole, pdq_quality=np.array([100, FLAT - 1, 100], np.uint8))
        upload, bank = (faded, whole) if side == "upload" else (whole, faded)
        found = as_pairs(find(frames(upload), frames(bank), SPACE))

        assert {pair for pair, evidence in found.items() if evidence > 0.9} == {(0, 0, 0, 0), (0, 2000, 0, 2000)}

    def test_nothing_but_plain_ones(self):
        black, film = fingerprint(footage(1, 3), quality=0), fingerprint(footage(1, 3))

        assert len(find(frames(black), frames(film), SPACE).query) == 0
        assert len(find(frames(film), frames(black), SPACE).query) == 0


def test_without_frames_there_are_no_hits():
    nothing, film = fingerprint(np.zeros((0, WIDE), np.float32)), fingerprint(footage(1, 3))

    for upload, bank in ((nothing, film), (film, nothing), (nothing, nothing)):
        assert len(find(frames(upload), frames(bank), SPACE).query) == 0
    assert len(find(Frames.of([], WIDE), Frames.of([], WIDE), SPACE).query) == 0


def test_frames_of_several_contents_stand_one_after_the_other():
    laid = frames(fingerprint(footage(1, 2)), fingerprint(np.zeros((0, WIDE), np.float32)), fingerprint(footage(2, 1)))

    assert laid.owner.tolist() == [0, 0, 2]
    assert laid.frame_ms.tolist() == [0, 1000, 0]
    assert laid.descriptors_ND.shape == (3, WIDE)


def test_no_hit_has_less_than_the_least_evidence():
    found = find(frames(fingerprint(footage(1, 30))), frames(*[fingerprint(footage(n, 60)) for n in range(8)]), SPACE)

    assert (found.evidence >= LEAST).all()


def test_evidence_rises_with_likeness_and_falls_with_distance():
    alike = picture_evidence(np.linspace(-1, 1, 21, dtype=np.float32))
    apart = hash_evidence(np.arange(257, dtype=np.int32))

    assert (np.diff(alike) > 0).all()
    assert (np.diff(apart) <= 0).all()
    for evidence in (alike, apart):
        assert evidence.min() >= 0
        assert evidence.max() <= 1
    assert apart[0] > 0.9 > 0.5 > apart[128]


def test_hits_joined_and_chosen():
    one = FrameHits(*(np.array([n]) for n in (1, 2, 3, 4)), np.array([0.5]))
    both = FrameHits.joined([one, replace(one, evidence=np.array([0.75]))])

    assert both.evidence.tolist() == [0.5, 0.75]
    assert both.where(np.array([False, True])).evidence.tolist() == [0.75]
    assert both.query.tolist() == [1, 1]
