"""Copy search: 10,000 descriptors against 1,000,000, the tiled exact search against faiss's exact flat index.

Both run on the same threads, in turn, over the same matrices in memory, and both find the same: where faiss has another
row its score is equal to within the rounding of a float32 product. Peak memory is that of a search in a process of its
own, beyond the two matrices. The index for single uploads is measured on a smaller bank, as information.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.registry import Result
from model_registry.errors import NightjarError
from pipelines.copyright.picture.ann import AnnIndex
from pipelines.copyright.picture.search import Hits, search_tiled

QUERIES, BANK, FEW = 10_000, 1_000_000, 100_000
ANN_BANK, ANN_QUERIES = 200_000, 1_000
DIMENSIONS, K = 256, 20
FRAMES = 100  # of a video: a walk in which one frame is `STEP` from the next
TOGETHER = 100  # videos made at once
STEP, NOISE = 0.4, 0.5  # lengths of random vectors added, before the sum is made a unit vector again
TOLERANCE = 2e-6  # between float32 products summed in different orders
NOTES = (
    f"The bank is synthetic, seeded: videos of {FRAMES} frames, each frame its neighbour plus {STEP} of a random unit "
    f"vector; a query is a frame of the bank plus {NOISE} of one.",
    f"`equal_results` is the share of queries for which both found the same rows, or others with scores within "
    f"{TOLERANCE:g}; below 1 the benchmark fails.",
    f"The ann_ figures are one index of {ANN_BANK} rows, recall against the exact search of as many; queries go in "
    "batches of 60, a minute of video.",
)


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - descriptors are made, not decoded
    """Alternate the two searches, after one small search each."""
    import faiss
    import torch

    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    bank_ND = walks(BANK)
    queries_QD = copies(bank_ND, QUERIES)
    flat = faiss.IndexFlatIP(DIMENSIONS)
    flat.add(bank_ND)
    search_tiled(queries_QD[:100], bank_ND[:FEW], K)
    flat.search(queries_QD[:100], K)
    rounds = [_round(queries_QD, bank_ND, flat) for _ in range(repeat)]
    del flat
    ann = _ann(bank_ND[:ANN_BANK])
    metrics = {name: [each[name] for each in rounds] for name in rounds[0]}
    metrics |= {name: [value] for name, value in ann.items()} | {"memory_beyond_mb": [_memory_beyond_mb()]}
    setup = {"queries": QUERIES, "bank": BANK, "dimensions": DIMENSIONS, "k": K, "threads": threads, "device": "cpu"}
    return Result(metrics, setup | {"ann_bank": ANN_BANK, "faiss": faiss.__version__}, NOTES)


def walks(rows: int) -> NDArray[np.float32]:
    """Descriptors of videos one after the other, [rows, D]; neighbouring frames are alike."""
    generator = np.random.default_rng(0)
    out_ND = np.empty((rows, DIMENSIONS), np.float32)
    for first in range(0, rows, FRAMES * TOGETHER):
        frames_FVD = np.empty((FRAMES, TOGETHER, DIMENSIONS), np.float32)
        frames_FVD[0] = _units(generator, TOGETHER)
        for frame in range(1, FRAMES):
            frames_FVD[frame] = _unit(frames_FVD[frame - 1] + STEP * _units(generator, TOGETHER))
        made_ND = frames_FVD.transpose(1, 0, 2).reshape(-1, DIMENSIONS)
        out_ND[first : first + len(made_ND)] = made_ND[: rows - first]
    return out_ND


def copies(bank_ND: NDArray[np.float32], many: int) -> NDArray[np.float32]:
    """Frames of the bank, changed, [Q, D]."""
    generator = np.random.default_rng(1)
    return _unit(bank_ND[generator.integers(0, len(bank_ND), many)] + NOISE * _units(generator, many))


def _unit(rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True), np.float32)


def _units(generator: np.random.Generator, rows: int) -> NDArray[np.float32]:
    return _unit(generator.standard_normal((rows, DIMENSIONS), dtype=np.float32))


def _round(queries_QD: NDArray[np.float32], bank_ND: NDArray[np.float32], flat: Any) -> dict[str, float]:
    tiled_s, hits = _timed(lambda: search_tiled(queries_QD, bank_ND, K))
    flat_s, (scores, rows) = _timed(lambda: flat.search(queries_QD, K))
    few_s, _ = _timed(lambda: search_tiled(queries_QD, bank_ND[:FEW], K))
    equal = _equal_share(hits, Hits(scores, rows))
    if equal < 1:
        raise NightjarError(f"the tiled search and faiss agree on {equal:.4%} of the queries, wanted all")
    return {
        "speed_vs_faiss_flat": flat_s / tiled_s,
        "equal_results": equal,
        "cost_10x_bank": tiled_s / few_s,
        "tiled_s": tiled_s,
        "faiss_flat_s": flat_s,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _equal_share(found: Hits, other: Hits) -> float:
    """Share of queries whose scores agree in every place, and whose rows do unless the score is a near tie."""
    close = np.abs(found.scores - other.scores) <= TOLERANCE
    gaps = np.diff(found.scores, axis=1) >= -2 * TOLERANCE  # a place whose score is near the one before
    tied = np.pad(gaps, ((0, 0), (1, 0))) | np.pad(gaps, ((0, 0), (0, 1)), constant_values=True)  # the last: near k + 1
    return float((close & ((found.rows == other.rows) | tied)).all(axis=1).mean())


def _ann(bank_ND: NDArray[np.float32]) -> dict[str, float]:
    """Build an index, and ask it for what the exact search finds."""
    build_s, index = _timed(lambda: AnnIndex(bank_ND))
    queries_QD = copies(bank_ND, ANN_QUERIES)
    wanted = search_tiled(queries_QD, bank_ND, K)
    batches = [queries_QD[first : first + 60] for first in range(0, ANN_QUERIES, 60)]
    ann_s, parts = _timed(lambda: [index.search(batch, K).rows for batch in batches])
    pairs = zip(np.concatenate(parts), wanted.rows, strict=True)
    recall = float(np.mean([len(np.intersect1d(found, all_)) / K for found, all_ in pairs]))
    first = float(np.mean(np.concatenate(parts)[:, 0] == wanted.rows[:, 0]))
    return {
        "ann_queries_per_s": ANN_QUERIES / ann_s,
        "ann_recall": recall,
        "ann_recall_first": first,
        "ann_build_s": build_s,
    }


def _memory_beyond_mb() -> float:
    """The peak of a process that searches, less what it held before: both matrices, torch, and a search of a few."""
    command = [sys.executable, "-m", "benchmarks.copy_search"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NightjarError(f"the search measured for memory failed: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


def _search_alone() -> None:
    """Print the megabytes by which a search raises the peak of this process."""
    bank_ND = walks(BANK)
    queries_QD = copies(bank_ND, QUERIES)
    search_tiled(queries_QD[:10], bank_ND[:1000], K)
    before = psutil.Process().memory_info().rss
    search_tiled(queries_QD, bank_ND, K)
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    print(
        int(status["VmHWM"].split()[0]) / 1024 - before / 2**20
    )  # getrusage's peak is the parent's, if that is higher


if __name__ == "__main__":
    _search_alone()
