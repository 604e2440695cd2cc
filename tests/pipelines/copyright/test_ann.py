"""The index for single uploads, above the size at which it is exact; test_search.py holds it to the reference below."""

import numpy as np
import pytest

from pipelines.copyright.picture import ann
from pipelines.copyright.picture.ann import AnnIndex
from pipelines.copyright.picture.search import Hits, search_plain


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def randoms(rows, dimensions=32, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((rows, dimensions)))


def same(found: Hits, wanted: Hits):
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.scores, wanted.scores)


def clustered(videos=600, frames=20, dimensions=32):
    """Frames of a video lie near each other."""
    generator = np.random.default_rng(10)
    middles = np.repeat(randoms(videos, dimensions), frames, axis=0)
    return unit(middles + 0.5 * unit(generator.standard_normal(middles.shape)))


@pytest.fixture(scope="module", params=[np.float16, np.float32])
def inverted(request):
    bank = clustered().astype(request.param)
    return bank, AnnIndex(bank, flat_rows=5000)


class TestInvertedLists:
    def test_they_find_nearly_all(self, inverted):
        bank, index = inverted
        queries = unit(bank[::60] + 0.3 * randoms(200))
        found, wanted = index.search(queries, 10), search_plain(queries, bank, 10)
        shared = [len(set(a) & set(b)) / 10 for a, b in zip(found.rows, wanted.rows, strict=True)]

        assert np.mean(shared) >= 0.95
        assert np.mean(found.rows[:, 0] == wanted.rows[:, 0]) >= 0.98

    def test_they_score_as_the_reference_does(self, inverted):
        """To the bit, so a bank of float16 is kept as it is."""
        bank, index = inverted
        queries = randoms(50, seed=3)
        found = index.search(queries, 10)
        scores = (queries.astype(np.float64) @ bank.astype(np.float64).T).astype(np.float32)

        np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, found.rows, axis=1))
        assert (np.diff(found.scores, axis=1) <= 0).all()

    def test_more_hits_than_the_cells_hold_are_looked_for_everywhere(self, inverted):
        bank, index = inverted

        same(index.search(bank[:3], 11_999), search_plain(bank[:3], bank, 11_999))
        assert index.search(bank[:3], 99_999).rows.min() == 0

    def test_memory_is_mostly_that_of_the_vectors(self, inverted):
        bank, index = inverted

        assert bank.nbytes < index.nbytes < bank.nbytes + 8 * len(bank) + 4 * 32 * 500


@pytest.mark.parametrize("flat_rows", [10_000, 300])
def test_rows_added_while_serving_are_found(flat_rows):
    index = AnnIndex(randoms(600), flat_rows=flat_rows)
    late = randoms(3, seed=11)
    index.add(late.astype(np.float16))

    assert index.search(late, 1).rows.tolist() == [[600], [601], [602]]
    assert (len(index), index.outgrown) == (603, False)


def test_an_index_that_starts_empty_and_outgrows_itself():
    index = AnnIndex(np.zeros((0, 32), np.float32), flat_rows=10)
    assert index.search(randoms(2), 5).rows.shape == (2, 0)

    index.add(randoms(21))
    same(index.search(randoms(2), 5), search_plain(randoms(2), randoms(21), 5))
    assert index.outgrown


def test_rows_that_do_not_fit_are_refused():
    index = AnnIndex(randoms(600).astype(np.float16), flat_rows=300)

    with pytest.raises(ValueError, match="rows have 2 dimensions and the index 32"):
        index.add(np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="rows are float32 and the index holds float16"):
        index.add(randoms(2))


def test_a_number_that_is_not_finite_is_refused_by_its_row_in_whatever_part(monkeypatch):
    monkeypatch.setattr(ann, "PART", 100)
    bank = randoms(600)
    bank[425, 3] = np.nan

    with pytest.raises(ValueError, match="row 425 of the bank"):
        AnnIndex(bank, flat_rows=300)
    index = AnnIndex(randoms(600), flat_rows=300)
    with pytest.raises(ValueError, match="row 425 of rows"):
        index.add(bank)
    assert len(index) == 600
