"""Models and stages in small that keep the real contracts, and models that break one promise each.

Ray's workers import this file: `ModelRef(implementation="tests.fakes:FakeTower")`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from model_registry.model import InputKind, Item, Model, ModelRef, ModelSpec, Vector, predict_all
from pipelines.rows import SIGNAL, SOUND_COLUMNS, windows_of_frames
from pipelines.stage import Stage, Work

LABELS = ("Violence/Weapons", "Gambling")


class _Fake(Model):
    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        return cls()


class FakeTower(_Fake):
    """Frames to their mean red, green and blue and their largest value, each from 0 to 1."""

    spec = ModelSpec(
        name="fake_tower", version="1", reads=InputKind.FRAME, artifacts=(), embedding_dim=4, max_batch=3, gpus=0.5
    )

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [np.array([*frame.mean(axis=(0, 1)), frame.max()], np.float32) / 255 for frame in batch]

    @classmethod
    def examples(cls) -> list[Item]:
        return [np.full((4, 6, 3), value, np.uint8) for value in (0, 100, 255)]


def _head_spec(name: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        version="1",
        reads=InputKind.EMBEDDING,
        tower="fake_tower",
        artifacts=(),
        labels=LABELS,
        max_batch=5,
        caveat="a fake",
    )


class FakeHead(_Fake):
    """Embeddings to red and green."""

    spec = _head_spec("fake_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [item[:2].astype(np.float32) for item in batch]

    @classmethod
    def examples(cls) -> list[Item]:
        return FakeTower().predict(FakeTower.examples())


class FakeFrameHead(_Fake):
    """Frames to how dark they are and how bright."""

    spec = ModelSpec(name="fake_frame_head", version="1", reads=InputKind.FRAME, artifacts=(), labels=LABELS)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [np.array([1 - frame.mean() / 255, frame.mean() / 255], np.float32) for frame in batch]

    @classmethod
    def examples(cls) -> list[Item]:
        return FakeTower.examples()


class FakeSpeaker(_Fake):
    """Sound to its mean and its largest value."""

    spec = ModelSpec(name="fake_speaker", version="1", reads=InputKind.SOUND, artifacts=(), embedding_dim=2)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [np.array([sound.mean(), sound.max()], np.float32) for sound in batch]

    @classmethod
    def examples(cls) -> list[Item]:
        return [np.full(16_000, value, np.int16) for value in (1, 2)]


class MiscountingHead(FakeHead):
    """Loses the last item of a batch."""

    spec = _head_spec("miscounting_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return super().predict(batch)[:-1]


class NarrowHead(FakeHead):
    """Returns one score where the spec names two labels."""

    spec = _head_spec("narrow_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [item[:1].astype(np.float32) for item in batch]


class NanHead(FakeHead):
    """Returns what is not a number for the last item."""

    spec = _head_spec("nan_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [*super().predict(batch)[:-1], np.array([0.5, np.nan], np.float32)]


class BoastingHead(FakeHead):
    """Returns a score above 1."""

    spec = _head_spec("boasting_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        return [np.array([0.5, 1.25], np.float32) for _ in batch]


class FailingHead(FakeHead):
    """Raises, as a bad program does."""

    spec = _head_spec("failing_head")

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        raise RuntimeError("the fake fails")


def fake_ref(model: type[Model], version: str = "1") -> ModelRef:
    """Pin a model of this file."""
    return ModelRef(model.spec.name, version, f"tests.fakes:{model.__qualname__}")


@dataclass(frozen=True, kw_only=True)
class Double(Stage):
    """n -> n, 2 n."""

    reads: tuple[str, ...] = ("n",)
    writes: tuple[str, ...] = ("twice",)

    def open(self) -> Work:
        return lambda table: [table.append_column("twice", pa.array([2 * n for n in table["n"].to_pylist()]))]


@dataclass(frozen=True, kw_only=True)
class CountDown(Stage):
    """n -> one row for each of n, n - 1, ..., 1, each in a table of its own: fan-out, and nothing for 0."""

    reads: tuple[str, ...] = ("n",)
    writes: tuple[str, ...] = ("step",)

    def open(self) -> Work:
        def work(table: pa.Table) -> Iterator[pa.Table]:
            for n in table["n"].to_pylist():
                for step in range(n, 0, -1):
                    yield pa.table({"n": [n], "step": [step]})

        return work


@dataclass(frozen=True, kw_only=True)
class FullDisk(Stage):
    """Nothing can be written where it runs."""

    code: int
    reads: tuple[str, ...] = ("content_sha256",)

    def open(self) -> Work:
        def work(table: pa.Table) -> Iterator[pa.Table]:
            raise OSError(self.code, os.strerror(self.code))
            yield table

        return work


@dataclass(frozen=True, kw_only=True)
class WhereAmI(Stage):
    """Write `process/how often it opened such a stage` into a column: an actor opens once."""

    reads: tuple[str, ...] = ("n",)

    @classmethod
    def column(cls, name: str, **spread: float) -> WhereAmI:
        """Name the column."""
        return cls(writes=(name,), **spread)

    def open(self) -> Work:
        global _opened
        _opened += 1
        place = f"{os.getpid()}/{_opened}"
        return lambda table: [table.append_column(self.writes[0], pa.array([place] * table.num_rows))]


_opened = 0


class Poison(IntEnum):
    """The brightness of a frame that harms `FragileHead`, and how."""

    ABORT = 201
    SEGFAULT = 202
    KILL = 203  # as the system does for want of memory
    HANG = 204  # in C, holding the interpreter's lock
    SPIN = 205  # in C, in one call of a regular expression
    RAISE = 206
    NAN = 207
    KILL_TWICE = 208  # and then never again
    FULL = 209  # the disk, not the frame
    QUIT = 210


class FragileHead(FakeFrameHead):
    """A fake head that some frames harm; `tokens` is a folder in which it counts what cannot be counted in memory."""

    spec = replace(FakeFrameHead.spec, name="fragile_head")

    def __init__(self, tokens: Path | None = None) -> None:
        self.tokens = tokens

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        scores = super().predict(batch)
        for row, frame in enumerate(batch):
            if (value := int(frame.flat[0])) in set(Poison):
                scores[row] = self._harmed(Poison(value), scores[row])
        return scores

    def _harmed(self, poison: Poison, score: Vector) -> Vector:
        match poison:
            case Poison.ABORT:
                os.abort()
            case Poison.SEGFAULT:
                os.kill(os.getpid(), signal.SIGSEGV)
            case Poison.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Poison.HANG:
                ctypes.PyDLL(None).sleep(1000)
            case Poison.SPIN:
                re.match(r"(a+)+$", "a" * 64 + "b")
            case Poison.RAISE:
                raise RuntimeError("it broke\nin two lines")
            case Poison.NAN:
                return score * np.float32(np.nan)
            case Poison.KILL_TWICE:
                self._kill_twice()
            case Poison.FULL:
                raise OSError(errno.ENOSPC, "No space left on device")
            case Poison.QUIT:
                raise KeyboardInterrupt
        return score

    def _kill_twice(self) -> None:
        assert self.tokens is not None
        if len(done := list(self.tokens.iterdir())) < 2:
            (self.tokens / str(len(done))).touch()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Fragile(Stage):
    """Frames to one signal a frame, by `FragileHead`; frames and sound go."""

    tokens: str = ""
    reads: tuple[str, ...] = ("frames_THWC", "frame_ms", "frame_height", "frame_width", *SOUND_COLUMNS)
    writes: tuple[str, ...] = ("signals",)
    drops: tuple[str, ...] = ("frames_THWC", *SOUND_COLUMNS)

    def open(self) -> Work:
        head = FragileHead(Path(self.tokens) if self.tokens else None)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            windows = windows_of_frames(table)
            scores_NL = predict_all(head, [frame for frames in windows for frame in frames])
            cells, start = [], 0
            for frames in windows:
                rows = scores_NL[start : start + len(frames)]
                cells.append([{"label": LABELS[0], "score": float(score), "source": "fragile"} for score in rows[:, 0]])
                start += len(frames)
            yield table.append_column("signals", pa.array(cells, pa.list_(SIGNAL))).drop_columns(list(self.drops))

        return work
