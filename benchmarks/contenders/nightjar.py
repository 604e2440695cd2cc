"""Nightjar: its own stages on this machine alone, as a night lays them out, a writer in the place of the pieces."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from benchmarks.contenders.contract import Output, Task, contend, rows
from jobs.recipes import rows_a_task, spread
from jobs.session import ahead, workers
from model_registry.bundles import PinnedBundle
from model_registry.errors import NightjarError
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.stage import Decode
from pipelines.guard import Guarded
from pipelines.nightly import SOURCE, Machines
from pipelines.predict import Predict
from pipelines.rows import WINDOWS, vectors_of
from pipelines.run import look
from pipelines.stage import Drop, Stage, Together

UNREAD = ("frames_THWC", "audio_16k", "audio_before", "more_sounds")


def work(task: Task, ready: Callable[[], None]) -> None:
    """Decode and score in an engine, write here."""
    with tempfile.TemporaryDirectory() as journal, ahead(), workers() as resources:
        stages = _stages(task, spread(resources, _bundle(task), len(task.videos)), journal)
        ready()
        contents = _contents(task)
        videos = dict(zip(contents["content_sha256"].to_pylist(), task.videos, strict=True))
        with Output(task) as out:
            look(
                stages,
                contents,
                rows_a_task(contents.num_rows, resources["CPU"]),
                lambda windows: out.write(_rows(windows, videos)),
            )


def _bundle(task: Task) -> PinnedBundle:
    tower, *others = task.models
    return PinnedBundle("peers", "1", task.side, tower, tuple(others))


def _stages(task: Task, machines: Machines, journal: str) -> list[Stage]:
    tower, scores = task.models
    sampling = Sampling(
        interval_ms=task.interval_ms, frame_side=task.side, sound=False, threads=machines.decode_threads
    )
    looking = Together.of(
        Predict.of(tower, "frames_THWC", "embedding", machines.device, machines.model_threads),
        Predict.of(scores, "frames_THWC", "score", machines.device, machines.model_threads),
        Drop.of(*UNREAD),
        source=WINDOWS.names,
        actors=machines.model_actors,
        cpus=machines.model_cpus,
        gpus=machines.model_gpus,
    )
    decode = Decode(sampling=sampling, limits=Limits(), cpus=machines.decode_cpus)
    return [decode, Guarded.over(looking, journal)]


def _contents(task: Task) -> pa.Table:
    """SOURCES: contents are known by their hash, which no other contender needs."""
    found = [(_sha256(Path(video)), video, Path(video).stat().st_size) for video in task.videos]
    return pa.table(dict(zip(SOURCE, map(list, zip(*found, strict=True)), strict=True)))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(windows: pa.Table, videos: Mapping[str, str]) -> pa.Table:
    """Lay the frames of some windows out one a row; raises NightjarError for a window that could not be looked at."""
    if why := set(windows["error_message"].drop_null().to_pylist()):
        raise NightjarError(f"nightjar could not look at a window: {why.pop()}")
    times = windows["frame_ms"].to_pylist()
    names = [videos[content] for content in windows["content_sha256"].to_pylist()]
    return rows(
        [name for name, each in zip(names, times, strict=True) for _ in each],
        [frame_ms for each in times for frame_ms in each],
        vectors_of(windows["embedding"]),
        vectors_of(windows["score"])[:, 0],
    )


if __name__ == "__main__":
    contend(work)
