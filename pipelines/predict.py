"""One model over one column, the same in a Ray actor, in a Serve replica and in a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from model_registry.model import AnyModel, InputKind, Item, ModelRef, predict_all
from pipelines.rows import lists_of_vectors, vectors_of, windows_of_frames
from pipelines.stage import Stage, Work


@dataclass(frozen=True, kw_only=True)
class Predict(Stage):
    """Add one column with a vector for each frame of each window."""

    ref: ModelRef
    column: str  # what it reads: frames or an embedding
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def of(cls, ref: ModelRef, column: str, writes: str, device: str = "cpu", threads: int = 1) -> Predict:
        """Name the columns."""
        shape = ("frame_height", "frame_width") if _reads_frames(ref) else ()
        return cls(
            ref=ref, column=column, reads=(column, "frame_ms", *shape), writes=(writes,), device=device, threads=threads
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.ref.name

    def open(self) -> Work:
        """Load the model on this worker."""
        model = loaded(self.ref, self.device, self.threads)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            counts = [len(times) for times in table["frame_ms"]]
            vectors_ND = predict_all(model, self._items(table))
            yield table.append_column(self.writes[0], lists_of_vectors(vectors_ND, counts))

        return work

    def _items(self, table: pa.Table) -> list[Item]:
        if _reads_frames(self.ref):
            return [frame for frames_THWC in windows_of_frames(table) for frame in frames_THWC]
        return list(vectors_of(table[self.column]))


@cache
def loaded(ref: ModelRef, device: str, threads: int) -> AnyModel:
    """Return the model, loaded once a worker however many stages there run it."""
    import torch

    torch.set_num_threads(threads)
    return ref.load(device)


def _reads_frames(ref: ModelRef) -> bool:
    return ref.spec.reads is InputKind.FRAME
