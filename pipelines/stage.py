"""A pipeline is a list of stages: each names the columns it reads, writes and drops, and what it takes to run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from model_registry.errors import NightjarError

if TYPE_CHECKING:
    from ray.data import Dataset

Work = Callable[[pa.Table], Iterable[pa.Table]]
GPU_ROWS = 8  # windows that go to a GPU together: Ray asks for a number, blocks are joined until they have as many
BUSY = pa.list_(pa.struct([("stage", pa.string()), ("ms", pa.float64())]))


class PipelineError(NightjarError):
    """A pipeline that cannot work: a column nobody wrote, or more machine than there is."""


class StageError(Exception):
    """A worker raised what is no row's fault, wherever it ran."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """What happens to rows. `open` runs once on each worker: weights load there."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    actors: int = 0  # 0: stateless tasks
    cpus: float = 1.0  # a task or an actor
    gpus: float = 0.0

    @abstractmethod
    def open(self) -> Work:
        """Return the function that turns one table into others."""

    @property
    def name(self) -> str:
        """As progress, errors and busy times call it."""
        return type(self).__name__.lower()


def check(stages: Iterable[Stage], source: Iterable[str]) -> frozenset[str]:
    """Return the columns that come out, or raise at the first read that nothing has written."""
    columns = frozenset(source)
    for stage in stages:
        if missing := set(stage.reads) - columns:
            raise PipelineError(f"stage {stage.name} reads {sorted(missing)}; available: {sorted(columns)}")
        columns = (columns | set(stage.writes)) - set(stage.drops)
    return columns


def demand(stages: Iterable[Stage]) -> tuple[float, float]:
    """Return the (CPUs, GPUs) without which the pipeline stands still: all actors, and the largest task."""
    stages = list(stages)
    pools = [stage for stage in stages if stage.actors]
    tasks = [stage.cpus for stage in stages if not stage.actors]
    cpus = sum(stage.actors * stage.cpus for stage in pools) + max(tasks, default=0.0)
    return cpus, sum(stage.actors * stage.gpus for stage in pools)


def refuse_if_short(stages: Iterable[Stage], available: Mapping[str, float]) -> None:
    """Raise PipelineError where Ray would wait for ever."""
    for name, wanted in zip(("CPU", "GPU"), demand(stages), strict=True):
        if wanted > (found := available.get(name, 0.0)) + 1e-9:
            raise PipelineError(f"the pipeline needs {wanted:g} {name}s at once, the cluster has {found:g}")


class StageActor:
    """One replica of a stage in a Ray actor."""

    def __init__(self, stage: Stage) -> None:
        self.work = stage.open()

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Work on one block."""
        yield from self.work(table)


def stage_task(table: pa.Table, stage: Stage) -> Iterator[pa.Table]:
    """One batch of a stateless stage in a Ray task."""
    yield from stage.open()(table)


def run(stages: Sequence[Stage], rows: Dataset) -> Dataset:
    """Lay the stages on Ray Data, lazily. Without a GPU a batch is a block, so fan-out stays together."""
    from ray.data import ActorPoolStrategy, TaskPoolStrategy

    for stage in stages:
        common: dict[str, Any] = {"batch_format": "pyarrow", "zero_copy_batch": True}
        common |= {"batch_size": GPU_ROWS if stage.gpus else None}
        common |= {"num_cpus": stage.cpus, "num_gpus": stage.gpus or None}
        if stage.actors:
            # Ray's own default, said aloud: with equal options it would fuse the tasks before into the actor.
            options = {**common, "label_selector": {}, "compute": ActorPoolStrategy(size=stage.actors)}
            rows = rows.map_batches(StageActor, fn_constructor_args=(stage,), **options)
        else:
            rows = rows.map_batches(stage_task, fn_kwargs={"stage": stage}, compute=TaskPoolStrategy(), **common)
    return rows


def run_local(stages: Iterable[Stage], table: pa.Table) -> pa.Table:
    """The plain reference: every stage in this process, one after the other."""
    tables = [table]
    for stage in stages:
        work = stage.open()
        tables = [out for rows in tables for out in work(rows)]
    return pa.concat_tables(tables)


@dataclass(frozen=True, kw_only=True)
class Drop(Stage):
    """Let columns go that have no later reader."""

    @classmethod
    def of(cls, *columns: str) -> Drop:
        """Name them."""
        return cls(reads=columns, drops=columns)

    def open(self) -> Work:
        """Nothing to load."""
        return lambda table: [table.drop_columns(list(self.drops))]


@dataclass(frozen=True, kw_only=True)
class Together(Stage):
    """Several stages in one actor, so that a heavy column crosses the object store once."""

    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, *stages: Stage, source: Iterable[str], actors: int, cpus: float, gpus: float) -> Together:
        """Derive what the group reads, writes and drops, given the columns that come in."""
        source = frozenset(source)
        out = check(stages, source)
        group = cls(stages=stages, actors=actors, cpus=cpus, gpus=gpus)
        reads = {name for stage in stages for name in stage.reads} & source
        writes = (out - source) | {"busy"}
        return replace(
            group, reads=tuple(sorted(reads)), writes=tuple(sorted(writes)), drops=tuple(sorted(source - out))
        )

    @property
    def name(self) -> str:
        """The names of its parts."""
        return "+".join(stage.name for stage in self.stages)

    def open(self) -> Work:
        """Open every part here, and measure each."""
        works = [(stage.name, stage.open()) for stage in self.stages]

        def work(table: pa.Table) -> Iterator[pa.Table]:
            if table.num_rows == 0:
                return
            table, busy = _busy_before(table)
            for name, step in works:
                began = time.perf_counter()
                tables = [out for out in step(table) if out.num_rows]
                if not tables:
                    return
                table = pa.concat_tables(tables)
                busy.append({"stage": name, "ms": (time.perf_counter() - began) * 1000})
            column = [busy, *[[]] * (table.num_rows - 1)]
            yield table.append_column("busy", pa.array(column, BUSY))

        return work


def _busy_before(table: pa.Table) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Take out what an earlier group measured."""
    if "busy" not in table.column_names:
        return table, []
    return table.drop_columns("busy"), [entry for row in table["busy"].to_pylist() for entry in row or ()]
