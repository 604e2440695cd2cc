"""Search: one plain reference, and the tiled and the indexed search held to it number for number."""

import subprocess
import sys
import tracemalloc
from dataclasses import astuple

import numpy as np
import pytest

from pipelines.copyright.picture import search
from pipelines.copyright.picture.ann import AnnIndex
from pipelines.copyright.picture.search import Hits, search_plain, search_tiled

QUERIES = np.array([[1, 0], [0, 1]], np.float32)
BANK = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def randoms(rows, dimensions=32, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((rows, dimensions)))


def same(found: Hits, wanted: Hits):
    assert found.scores.dtype == np.float32
    assert found.rows.dtype == np.int64
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.scores, wanted.scores)


def indexed(queries, bank, k):
    return AnnIndex(bank).search(queries, k)


def small_tiles(queries, bank, k):
    return search_tiled(queries, bank, k, query_tile=7, bank_tile=10)


EXACT = pytest.mark.parametrize("exact", [search_plain, search_tiled, small_tiles, indexed])
FAST = pytest.mark.parametrize("fast", [search_tiled, small_tiles, indexed])


# Worked by hand


@EXACT
def test_the_best_rows_come_first_and_the_lower_of_equals(exact):
    hits = exact(QUERIES, BANK, 3)
    assert hits.rows.tolist() == [[1, 3, 2], [0, 2, 1]]
    np.testing.assert_array_equal(hits.scores, np.array([[1, 1, 0.6], [1, 0.8, 0]], np.float32))


@EXACT
def test_a_bank_of_fewer_than_k_rows_is_returned_whole(exact):
    hits = exact(QUERIES, BANK, 9)
    assert hits.rows.tolist() == [[1, 3, 2, 0], [0, 2, 1, 3]]


@EXACT
def test_one_row(exact):
    assert exact(QUERIES, BANK[2:3], 5).rows.tolist() == [[0], [0]]


@EXACT
def test_no_queries_and_no_rows(exact):
    assert [array.shape for array in astuple(exact(QUERIES[:0], BANK, 3))] == [(0, 3), (0, 3)]
    assert [array.shape for array in astuple(exact(QUERIES, BANK[:0], 3))] == [(2, 0), (2, 0)]


@EXACT
def test_zeros_match_every_row_alike(exact):
    hits = exact(np.zeros((1, 2), np.float32), BANK, 2)
    assert (hits.rows.tolist(), hits.scores.tolist()) == ([[0, 1]], [[0, 0]])


@EXACT
@pytest.mark.parametrize(
    ("queries", "bank", "k", "message"),
    [
        (QUERIES, BANK, 0, "k is 0"),
        (QUERIES, BANK[:, :1], 1, "queries have 2 dimensions and the bank 1"),
        (QUERIES[0], BANK, 1, r"queries are float32 \[2\], wanted float16 or float32 \[rows, D\]"),
        (QUERIES.astype(np.float64), BANK, 1, "queries are float64"),
    ],
)
def test_what_does_not_fit_is_refused(exact, queries, bank, k, message):
    with pytest.raises(ValueError, match=message):
        exact(queries, bank, k)


@FAST
def test_a_number_that_is_not_finite_is_refused_by_its_row(fast):
    bank = randoms(30, 2)
    bank[25, 1] = np.nan
    with pytest.raises(ValueError, match="row 25 of the bank"):
        fast(QUERIES, bank, 3)
    with pytest.raises(ValueError, match=r"row 1 of (the )?queries"):
        fast(np.array([[1, 0], [np.inf, 0]], np.float32), BANK, 3)


# Held to the reference


@FAST
@pytest.mark.parametrize(("many", "rows", "dimensions", "k"), [(1, 1000, 8, 20), (50, 4097, 64, 33), (9, 257, 512, 64)])
@pytest.mark.parametrize("type_", [np.float16, np.float32])
def test_random_banks(fast, many, rows, dimensions, k, type_):
    queries, bank = randoms(many, dimensions), randoms(rows, dimensions, seed=1).astype(type_)
    same(fast(queries, bank, k), search_plain(queries, bank, k))


@FAST
def test_copies_all_over_the_bank(fast):
    few = randoms(5, 16)
    bank = few[np.random.default_rng(2).integers(0, 5, 3000)]
    same(fast(few, bank, 40), search_plain(few, bank, 40))


@FAST
def test_one_row_a_thousand_times_with_better_ones_late(fast):
    bank = np.concatenate([np.repeat(randoms(1), 1000, axis=0), randoms(200, seed=3), randoms(40)])
    same(fast(randoms(40), bank, 20), search_plain(randoms(40), bank, 20))


def test_a_bank_that_gets_better_row_by_row():
    query = randoms(1, 64)
    noise = randoms(6000, 64, seed=4) * np.linspace(3, 0.1, 6000)[:, None]
    bank = unit(query + noise)
    same(search_tiled(query, bank, 20, bank_tile=512), search_plain(query, bank, 20))


def near_ties(many=20):
    """Rows whose scores differ by less than a float32 product is off: 100 for each of 20 queries, or 2000 for one."""
    query = randoms(many, 512)
    generator = np.random.default_rng(5)
    noise = 2e-4 * unit(generator.standard_normal((2000, 512)))
    return query, unit(query[generator.integers(0, many, 2000)] + noise)


@FAST
@pytest.mark.parametrize("many", [1, 20])
def test_near_ties(fast, many):
    queries, bank = near_ties(many)
    same(fast(queries, bank, 30), search_plain(queries, bank, 30))


def test_near_ties_are_beyond_a_float32_product():
    """So the test above fails where the screen's own scores are returned."""
    queries, bank = near_ties()
    rows = np.argsort(-(queries @ bank.T), axis=1, kind="stable")[:, :30]
    assert (rows != search_plain(queries, bank, 30).rows).any(axis=1).mean() > 0.5


@pytest.mark.parametrize(("function", "many"), [("_score_pairs", 20), ("_score_rows", 1)])
def test_both_ways_of_scoring_again_are_taken(function, many, monkeypatch):
    """A few near ties go one way and a crowd the other: without it there are no hits."""
    monkeypatch.setattr(search._Tile, function, lambda *_: None)
    assert (search_tiled(*near_ties(many), 30).rows == -1).all()


def test_a_screen_off_by_as_much_as_may_be_loses_no_row():
    queries, bank = near_ties()
    product = search._Tile._product

    def off(tile):
        scores, slack = product(tile), tile._slack()
        signs = np.random.default_rng(7).uniform(-0.9, 0.9, scores.shape).astype(np.float32)
        return scores + slack[:, None] * slack.new_tensor(signs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search._Tile, "_product", off)
        same(search_tiled(queries, bank, 30, bank_tile=512), search_plain(queries, bank, 30))


def test_a_program_that_allows_lower_precision_is_not_heard_here(monkeypatch):
    import torch

    seen = []
    product = search._Tile._product
    monkeypatch.setattr(
        search._Tile, "_product", lambda tile: seen.append(torch.get_float32_matmul_precision()) or product(tile)
    )
    torch.set_float32_matmul_precision("medium")
    try:
        search_tiled(QUERIES, BANK, 3)
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "medium")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_bank_that_is_a_read_only_memory_map(tmp_path):
    np.save(tmp_path / "bank.npy", randoms(500).astype(np.float16))
    bank = np.load(tmp_path / "bank.npy", mmap_mode="r")
    same(search_tiled(randoms(9), bank, 5, bank_tile=64), search_plain(randoms(9), bank, 5))


def test_cuda_finds_the_same():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    for queries, bank in (near_ties(), (randoms(300, 256), randoms(9000, 256, seed=8).astype(np.float16))):
        same(search_tiled(queries, bank, 40, device="cuda"), search_plain(queries, bank, 40))


def test_importing_it_loads_neither_torch_nor_faiss():
    code = "import sys, pipelines.copyright.picture.search; sys.exit(bool({'torch', 'faiss'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Memory


def test_no_product_is_wider_than_a_tile(monkeypatch):
    seen = []
    product = search._Tile._product
    monkeypatch.setattr(search._Tile, "_product", lambda tile: seen.append(out := product(tile)) or out)
    search_tiled(randoms(150), randoms(5000, seed=9), 20, query_tile=64, bank_tile=1024)
    assert {tuple(out.shape) for out in seen} == {(64, 1024), (22, 1024)}
    assert len({out.data_ptr() for out in seen}) == 1  # always the same memory


def test_a_float16_bank_is_never_copied_whole():
    bank = randoms(40_000, 64).astype(np.float16)
    search_tiled(randoms(2, 64), bank[:100], 5)
    tracemalloc.start()  # sees numpy's memory, which every copy of the bank begins in
    search_tiled(randoms(2, 64), bank, 5, bank_tile=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1000 * 64 * 4 + 100_000
