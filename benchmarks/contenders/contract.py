"""What every contender is asked for and what it hands back: a request in, one Parquet file and one JSON line out.

A contender says when it is ready (imports done, its framework up; no model loaded, no video begun), does the work,
and says when its output is whole. Then it waits until its times were taken, and ends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_registry.model import AnyModel, ModelRef, predict_all

T = TypeVar("T")
BATCH = 16  # frames that go through a model together
FEATURES = 1280
ROWS = pa.schema(
    [
        ("video", pa.string()),
        ("frame_ms", pa.int64()),
        ("embedding", pa.list_(pa.float32(), FEATURES)),
        ("score", pa.float32()),
    ]
)


@dataclass(frozen=True)
class Task:
    """One pass over some videos, the same for all contenders."""

    videos: tuple[str, ...]
    output: str  # one Parquet file of ROWS
    models: tuple[ModelRef, ...]  # the tower, then what scores frames
    interval_ms: int = 1000
    side: int = 256  # pixels of a frame's shorter side
    published: bool = False  # the weights run as they were published, not as Nightjar runs them on a CPU
    cores: int = 2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Scale (width, height) so that the shorter one is `side`."""
        scale = self.side / min(width, height)
        return round(width * scale), round(height * scale)

    def write(self, path: Path) -> None:
        """As the contender's process reads it."""
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Undo `write`."""
        fields = json.loads(path.read_text("utf-8"))
        models = tuple(
            ModelRef(**{**ref, "weights": tuple(map(tuple, ref["weights"]))}) for ref in fields.pop("models")
        )
        return cls(**{**fields, "videos": tuple(fields["videos"])}, models=models)


@dataclass(frozen=True)
class Frame:
    """One sampled frame."""

    video: str
    frame_ms: int
    pixels_HWC: NDArray[np.uint8]  # RGB


class Scorer:
    """Both models of a task, loaded here; `threads` is what each may take of the cores."""

    def __init__(self, task: Task, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        load = _as_published if task.published else _as_ours
        self.tower, self.scores = (load(ref) for ref in task.models)

    def columns(self, frames: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """Return float32 `embedding` [N, 1280] and `score` [N]."""
        return {"embedding": predict_all(self.tower, frames), "score": predict_all(self.scores, frames)[:, 0]}

    def rows(self, frames: Sequence[Frame]) -> pa.Table:
        """Return ROWS for one batch."""
        columns = self.columns([frame.pixels_HWC for frame in frames])
        return rows([frame.video for frame in frames], [frame.frame_ms for frame in frames], **columns)


def _as_ours(ref: ModelRef) -> AnyModel:
    return ref.load("cpu")


def _as_published(ref: ModelRef) -> AnyModel:
    """The same weights in what they came in: timm's network in torch, the graph as it was exported."""
    from model_registry.models import efficientnet, open_nsfw
    from model_registry.onnx import open_graph

    weights = {name: Path(path) for name, path in ref.weights}
    if ref.name == efficientnet.EfficientNetLite0.spec.name:
        return efficientnet.EfficientNetLite0(efficientnet.torch_features(weights[efficientnet.ARTIFACT], "cpu"), "cpu")
    return open_nsfw.OpenNSFW(open_graph(weights[open_nsfw.ARTIFACT]), "cpu")


def rows(
    video: Sequence[str], frame_ms: Sequence[int], embedding: NDArray[np.float32], score: NDArray[np.float32]
) -> pa.Table:
    """Lay columns out as ROWS."""
    flat = pa.array(np.ascontiguousarray(embedding, np.float32).reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, FEATURES)
    return pa.table([pa.array(video), pa.array(frame_ms), vectors, pa.array(score)], schema=ROWS)


class Output:
    """The Parquet file, written table by table; whole once this is closed, which `whole_at` tells."""

    whole_at: ClassVar[float] = 0.0  # what a contender takes down afterwards is no work

    def __init__(self, task: Task) -> None:
        self.writer = pq.ParquetWriter(task.output, ROWS)

    def write(self, table: pa.Table) -> None:
        """Append some rows."""
        self.writer.write_table(table.select(ROWS.names).cast(ROWS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.writer.close()
        Output.whole_at = time.monotonic()


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Cut a stream into lists of `size`; the last may be shorter."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def contend(work: Callable[[Task, Callable[[], None]], None]) -> None:
    """Run `work(task, ready)` for the request named on the command line; its print-outs go to standard error."""
    task = Task.read(Path(sys.argv[1]))
    said, sys.stdout = sys.stdout, sys.stderr
    moments: dict[str, float] = {}
    work(task, lambda: moments.update(ready=time.monotonic()))
    moments["done"] = Output.whole_at
    print(json.dumps(moments), file=said, flush=True)
    sys.stdin.readline()  # the harness takes the last of the processor times now
