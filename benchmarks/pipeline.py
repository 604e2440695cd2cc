"""Speed of light: the whole pipeline against the sum of its stages, each run bare on the same cores.

Bare means no Ray: as many decode children as cores, then the models in a thread a core over frames in memory, then
the pieces written. The pipeline's time runs from the first task to the last receipt, its actors' start included,
and so does the sum: a model is loaded once in both.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from benchmarks.registry import Result
from benchmarks.videos import many
from jobs.recipes import machines_for, rows_a_task
from jobs.session import ray_up
from model_registry.bundles import bundle_named, pin
from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.nightly import SOURCE, Machines, nightly_stages
from pipelines.predict import loaded
from pipelines.run import look
from pipelines.stage import Stage

VIDEOS = 100
LIMITS = Limits()


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate the bare stages and the pipeline over the same contents."""
    bundle = pin(bundle_named("lite"))
    sampling = Sampling(frame_side=bundle.frame_side)
    rounds = []
    with tempfile.TemporaryDirectory() as scratch, ray_up() as resources:
        contents = _contents(many(videos, VIDEOS, Path(scratch) / "videos"))
        machines = machines_for(resources, bundle)
        for turn in range(repeat):
            folder = Path(scratch) / f"features-{turn}"
            stages = nightly_stages(bundle, sampling, LIMITS, machines, str(folder))
            rounds.append(
                _bare(stages, contents, sampling) | {"pipeline_s": _pipeline(stages, contents, resources["CPU"])}
            )
    metrics = {name: [each[name] for each in rounds] for name in rounds[0]}
    metrics["share_of_speed_of_light"] = [each["speed_of_light_s"] / each["pipeline_s"] for each in rounds]
    metrics["videos_per_s"] = [VIDEOS / each["pipeline_s"] for each in rounds]
    setup = {
        "videos": VIDEOS,
        "distinct": len(videos),
        "bundle": bundle.id,
        "sampling": sampling.id,
        **_spread(machines),
    }
    return Result(metrics, setup)


def _spread(machines: Machines) -> dict[str, float]:
    return {name: getattr(machines, name) for name in ("model_actors", "model_threads", "model_cpus", "decode_cpus")}


def _contents(videos: Sequence[Path]) -> pa.Table:
    rows = [(f"{index:064x}", str(path), path.stat().st_size) for index, path in enumerate(videos)]
    return pa.table(dict(zip(SOURCE, map(list, zip(*rows, strict=True)), strict=True)))


def _pipeline(stages: Sequence[Stage], contents: pa.Table, cpus: float) -> float:
    began = time.perf_counter()
    look(stages, contents, rows_a_task(contents.num_rows, cpus), lambda _: None)
    return time.perf_counter() - began


def _bare(stages: Sequence[Stage], contents: pa.Table, sampling: Sampling) -> dict[str, float]:
    """Run each stage by itself over everything; seconds a stage and their sum."""
    cores = os.cpu_count() or 1
    spent: dict[str, float] = {}
    began = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        windows = list(pool.map(lambda part: _decode(part, sampling), _split(contents, cores)))
    spent["decode_s"] = time.perf_counter() - began
    _, together, commit = stages
    tables = [table for part in windows for table in part]
    loaded.cache_clear()  # an earlier round's models would cost nothing
    began = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:  # one thread a core: faster than one model on all cores
        parts = list(pool.map(lambda first: _look(together, tables[first::cores]), range(cores)))
    spent["look_s"] = time.perf_counter() - began
    scored = [table for part in parts for table in part]
    began = time.perf_counter()
    write = commit.open()
    for table in scored:
        list(write(table))
    spent["commit_s"] = time.perf_counter() - began
    return spent | {"speed_of_light_s": sum(spent.values())}


def _look(together: Stage, tables: Sequence[pa.Table]) -> list[pa.Table]:
    work = together.open()
    return [out for table in tables for out in work(table)]


def _split(contents: pa.Table, parts: int) -> list[pa.Table]:
    return [contents.take(list(range(first, contents.num_rows, parts))) for first in range(parts)]


def _decode(contents: pa.Table, sampling: Sampling) -> list[pa.Table]:
    """Decode in one child; windows are kept in tables of a few, as blocks of the pipeline are."""
    child = DecodeChild(LIMITS)
    tables: list[pa.Table] = []
    batches: list[pa.RecordBatch] = []
    for row in contents.to_pylist():
        batches += child.windows(Request(row["content_sha256"], row["uri"], row["bytes"], sampling, LIMITS))
        if len(batches) >= 8:
            tables.append(pa.Table.from_batches(batches))
            batches = []
    child.close()
    return [*tables, *([pa.Table.from_batches(batches)] if batches else [])]
