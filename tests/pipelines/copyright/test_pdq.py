"""PDQ: near for the same picture however it is turned, far for others; the search finds what a plain one finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pipelines.copyright.picture.pdq import BITS, GOOD, NEAR, HashIndex, nearest, nearest_plain, pdq, turns
from tests.pipelines.copyright.drawn import picture

WAYS = {
    "as it is": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "a quarter": np.rot90,
    "half": lambda pixels: np.rot90(pixels, 2),
    "three quarters": lambda pixels: np.rot90(pixels, 3),
}


def hashed(pixels) -> np.ndarray:
    return np.frombuffer(pdq(pixels)[0], np.uint8)


def distances(one: np.ndarray, others_NB: np.ndarray) -> np.ndarray:
    return np.bitwise_count(one[None] ^ others_NB).sum(axis=1)


class TestHash:
    def test_what_it_is(self):
        bits, quality = pdq(picture(1))

        assert len(bits) * 8 == BITS
        assert 0 <= quality <= 100
        assert pdq(picture(1)) == (bits, quality)

    def test_detail_has_quality_and_a_flat_picture_has_none(self):
        assert pdq(picture(1))[1] >= GOOD
        assert pdq(np.full((64, 64, 3), 90, np.uint8))[1] == 0

    @pytest.mark.parametrize("seed", range(4))
    def test_scaling_and_stretching_hardly_change_it(self, seed):
        pixels = picture(seed, 300, 200)
        small = np.asarray(Image.fromarray(pixels).resize((160, 90), Image.Resampling.BILINEAR))

        assert distances(hashed(pixels), hashed(small)[None]) <= NEAR

    def test_others_are_far(self):
        apart = [distances(hashed(picture(n)), hashed(picture(n + 1))[None]).item() for n in range(10)]

        assert min(apart) > 2 * NEAR

    def test_a_view_into_a_larger_picture(self):
        pixels = picture(1)

        assert pdq(pixels[10:90, 20:200]) == pdq(pixels[10:90, 20:200].copy())


class TestTurns:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("way", WAYS)
    def test_the_turned_picture_is_near_one_of_the_turns(self, seed, way):
        pixels = picture(seed)
        turned = turns(hashed(pixels)[None])[:, 0]
        apart = distances(hashed(WAYS[way](pixels)), turned)

        assert apart.min() <= NEAR
        assert (apart <= NEAR).sum() == 1, "one of them, and not all"

    def test_others_are_far_from_all_of_them(self):
        turned = turns(hashed(picture(1))[None])[:, 0]

        assert min(distances(hashed(picture(n)), turned).min() for n in range(2, 10)) > NEAR

    def test_the_first_is_the_hash_itself_and_the_rest_are_what_they_say(self):
        hashes_NB = np.stack([hashed(picture(n)) for n in range(3)])
        turned = turns(hashes_NB)

        assert turned.shape == (5, 3, BITS // 8)
        assert np.array_equal(turned[0], hashes_NB)
        assert np.array_equal(turns(turned[1])[1], hashes_NB), "mirrored twice"
        assert np.array_equal(turns(turned[3])[3], hashes_NB), "turned over twice"
        assert np.array_equal(turns(turned[2])[4], hashes_NB), "a quarter there and back"

    def test_none(self):
        assert turns(np.zeros((0, 32), np.uint8)).shape == (5, 0, 32)


def some_hashes(least):
    return arrays.arrays(np.uint8, st.tuples(st.integers(least, 6), st.just(32)), elements=st.sampled_from([0, 1, 255]))


class TestNearest:
    @settings(max_examples=100, deadline=None)
    @given(some_hashes(0), some_hashes(0), st.integers(1, 8))
    def test_it_finds_what_a_plain_search_finds(self, queries, bank, k):
        """Up to the order of equals: which of two equally far rows comes first is nobody's business."""
        found, rows = nearest(queries, bank, k)
        wanted, _ = nearest_plain(queries, bank, k)

        assert np.array_equal(found, wanted)
        assert rows.shape == found.shape == (len(queries), min(k, len(bank)))
        for query, distances_K, rows_K in zip(queries, found, rows, strict=True):
            assert len(set(rows_K.tolist())) == len(rows_K)
            assert np.array_equal(distances(query, bank[rows_K]), distances_K)

    def test_by_hand(self):
        bank = np.zeros((3, 32), np.uint8)
        bank[0, 0], bank[2, 5] = 0b111, 0b1
        found, rows = nearest_plain(np.zeros((1, 32), np.uint8), bank, 2)

        assert found.tolist() == [[0, 1]]
        assert rows.tolist() == [[1, 2]]


class TestIndex:
    """Above the size up to which it compares with everything."""

    @pytest.fixture(scope="class")
    def bank(self):
        """Two hundred videos of twenty frames; from one to the next some ten bits change."""
        generator = np.random.default_rng(3)
        first = generator.integers(0, 2, (200, 1, BITS), np.uint8)
        changes = (generator.random((200, 20, BITS)) < 0.04).astype(np.uint8)
        return np.packbits((first + np.cumsum(changes, axis=1)) % 2, axis=2).reshape(-1, BITS // 8)

    @pytest.mark.parametrize(("bits", "share"), [(0, 0.97), (16, 0.95), (NEAR, 0.9)])
    def test_it_finds_nearly_all_that_is_near(self, bank, bits, share):
        generator = np.random.default_rng(bits)
        queries = np.unpackbits(bank[::20], axis=1)
        for query in queries:
            query[generator.choice(BITS, bits, replace=False)] ^= 1
        queries = np.packbits(queries, axis=1)
        found, rows = HashIndex(bank, flat_rows=100).search(queries, 8)
        wanted, _ = nearest(queries, bank, 8)
        near = wanted <= NEAR + 10

        assert np.mean(found[near] == wanted[near]) >= share
        assert np.array_equal(found, np.bitwise_count(queries[:, None] ^ bank[rows]).sum(axis=2))

    def test_it_does_not_look_at_everything(self, bank):
        far = np.random.default_rng(9).integers(0, 256, (50, 32), dtype=np.uint8)

        assert (HashIndex(bank, flat_rows=100).search(far, 8)[0] != nearest(far, bank, 8)[0]).any()

    def test_cells_that_hold_too_little_leave_the_rest_far(self, bank):
        found, rows = HashIndex(bank, flat_rows=100).search(bank[:2], len(bank))

        assert found[:, -1].tolist() == [BITS, BITS]
        assert rows.min() == 0
        assert found[0, 0] == 0

    def test_memory(self, bank):
        assert HashIndex(bank).nbytes == bank.nbytes
        assert bank.nbytes < HashIndex(bank, flat_rows=100).nbytes < 1.5 * bank.nbytes

    def test_none(self):
        assert HashIndex(np.zeros((0, 32), np.uint8)).search(np.zeros((2, 32), np.uint8), 8)[1].shape == (2, 0)
