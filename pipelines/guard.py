"""A group of model steps under guard: a window that a model fails, crashes or hangs on costs that window only.

A window whose worker died in company is worked alone from then on. One that kills its worker alone, or fails alone,
becomes a row with a reason. A kill from outside is no window's fault, so it takes many before one is given up.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import pyarrow as pa

from pipelines.attempts import STALL_SECONDS, Attempts, Death, WindowId
from pipelines.faults import FaultLog
from pipelines.pieces import KINDS
from pipelines.places import is_full, place
from pipelines.rows import WINDOWS, ErrorCode
from pipelines.stage import BUSY, PipelineError, Stage, Together, Work

OWN_DEATHS = 2  # of its own fault, alone
KILLS = 5  # from outside, alone: an innocent window may meet a few
TYPES = {"busy": BUSY, **{kind: pa.list_(struct) for kind, struct in KINDS.items()}}
SAID = ("error_code", "error_message", "attempts")
MOST_SAID = 300  # characters of an error
ROW_ID = ("content_sha256", "window_index")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """Why a window was given up."""

    code: ErrorCode
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Guarded(Together):
    """A group whose every window comes out: worked on, or with the reason why not."""

    folder: str  # of the journal: a path or a URI
    stall_seconds: float = STALL_SECONDS  # a step that takes longer hangs, and its process is ended

    @classmethod
    def over(cls, group: Together, folder: str, stall_seconds: float = STALL_SECONDS) -> Self:
        """Put a group of stages over windows under guard."""
        if not stall_seconds > 0:
            raise PipelineError(f"stage {group.name} has a stall_seconds of {stall_seconds:g}, must be above 0")
        known = {field.name: getattr(group, field.name) for field in fields(Together)}
        reads = tuple(sorted({*group.reads, *ROW_ID, *SAID}))
        return cls(**{**known, "reads": reads}, folder=folder, stall_seconds=stall_seconds)

    def open(self) -> Work:
        """Open every part here."""
        return _Guard(self)


class _Guard:
    """One worker's group and its journal."""

    def __init__(self, stage: Guarded) -> None:
        self.stage = stage
        self.attempts = Attempts(place(stage.folder), stage.stall_seconds)
        self.group = Together(stages=tuple(_Told(part=part, tell=self._begins) for part in stage.stages)).open()
        self.faults: FaultLog | None = None
        self.step = ""

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Hand on one row a window, in order."""
        if table.num_rows == 0:
            return
        windows = _windows_of(table)
        deaths = self.attempts.deaths(windows)
        suspects = {window: [death for death in deaths if window in death.windows] for window in windows}
        tables = [out for rows in _runs(table, suspects) for out in self._settled(rows, suspects)]
        kept = [name for name in table.column_names if name not in self.stage.drops]
        columns = [*kept, *(name for name in self.stage.writes if name not in kept)]
        yield pa.concat_tables([out.select(columns) for out in tables], promote_options="default")

    def _settled(self, rows: pa.Table, suspects: dict[WindowId, list[Death]]) -> Iterator[pa.Table]:
        """Work on windows that belong together; on each alone where that fails."""
        alone = [death for death in suspects[_windows_of(rows)[0]] if death.alone] if rows.num_rows == 1 else []
        if verdict := _given_up(alone, self.stage):
            yield self._lost(rows, verdict, len(alone))
            return
        found = self._attempted(rows)
        if not isinstance(found, Verdict):
            yield _with(found, attempts=_more(rows, len(alone))) if alone else found
        elif rows.num_rows == 1:
            yield self._lost(rows, found, len(alone) + 1)
        else:
            for row in range(rows.num_rows):
                yield from self._settled(rows.slice(row, 1), suspects)

    def _attempted(self, rows: pa.Table) -> pa.Table | Verdict:
        """Let the group work, under a marker; what it raises is no reason to stop, unless the machine is at fault."""
        with self.attempts.working(_windows_of(rows)) as self.faults:
            self.step = self.stage.name
            try:
                return _whole(list(self.group(rows)), rows.num_rows)
            except Exception as error:
                if is_full(error):
                    raise
                if lost := _gpu_fault(self.stage):
                    self.faults.die(lost)
                reason = f"{type(error).__name__}: {_first_line(error)}"
                return Verdict(ErrorCode.MODEL_FAILED, f"{self.step} failed with {reason}")

    def _begins(self, step: str) -> None:
        self.step = step
        if self.faults:
            self.faults.step(step)

    def _lost(self, row: pa.Table, verdict: Verdict, attempts: int) -> pa.Table:
        """Return the window without results; an error that it brought along stays the first."""
        code, message = _brought(row)
        log.warning("window %s of %s is given up: %s", *reversed(_windows_of(row)[0]), verdict.sentence)
        for name in self.stage.writes:
            if name not in row.column_names:
                row = row.append_column(name, pa.nulls(1, TYPES.get(name, pa.null())))
        both = f"{message}; {verdict.sentence}" if message else verdict.sentence
        said = {"error_code": code or verdict.code.value, "error_message": both}
        return _with(row, **said, attempts=_more(row, attempts))


@dataclass(frozen=True, kw_only=True)
class _Told(Stage):
    """A part of a group that says when its turn comes."""

    part: Stage
    tell: Callable[[str], None]

    @property
    def name(self) -> str:
        return self.part.name

    def open(self) -> Work:
        work = self.part.open()

        def told(table: pa.Table) -> Iterable[pa.Table]:
            self.tell(self.name)
            return work(table)

        return told


def _given_up(alone: Sequence[Death], stage: Stage) -> Verdict | None:
    """Judge a window by the deaths that can only have been its own."""
    own = [death.fault for death in alone if death.fault.code]
    if len(own) >= OWN_DEATHS:
        step = own[-1].step or stage.name
        if own[-1].code is ErrorCode.MODEL_TIMEOUT:
            return Verdict(ErrorCode.MODEL_TIMEOUT, f"{step} came to no end, {len(own)} times: {own[-1].reason}")
        return Verdict(ErrorCode.MODEL_CRASHED, f"{step} crashed its worker {len(own)} times: {own[-1].reason}")
    if (kills := len(alone) - len(own)) >= KILLS:
        step = alone[-1].fault.step or stage.name
        sentence = f"the worker was killed from outside {kills} times, at last in {step}; it may need more memory"
        return Verdict(ErrorCode.MODEL_CRASHED, sentence)
    return None


def _runs(table: pa.Table, suspects: dict[WindowId, list[Death]]) -> Iterator[pa.Table]:
    """Cut a block, without copying, into stretches of clean windows and single suspects."""
    start = 0
    for row, window in enumerate(_windows_of(table)):
        if suspects[window]:
            if start < row:
                yield table.slice(start, row - start)
            yield table.slice(row, 1)
            start = row + 1
    if start < table.num_rows:
        yield table.slice(start)


def _brought(row: pa.Table) -> tuple[str | None, str | None]:
    """Return the error of decode. That there is no picture is none yet: whoever listens takes it back."""
    code, message = (row[name][0].as_py() for name in ("error_code", "error_message"))
    return (None, None) if code == ErrorCode.NO_VIDEO.value else (code, message)


def _windows_of(table: pa.Table) -> list[WindowId]:
    return list(zip(*(table[name].to_pylist() for name in ROW_ID), strict=True))


def _whole(tables: Sequence[pa.Table], wanted: int) -> pa.Table:
    if (found := sum(table.num_rows for table in tables)) != wanted:
        raise PipelineError(f"{found} of {wanted} windows came back")
    return pa.concat_tables(tables)


def _more(row: pa.Table, attempts: int) -> int:
    """Add to what an earlier pool has counted."""
    return (row["attempts"][0].as_py() or 0) + attempts


def _with(row: pa.Table, **values: object) -> pa.Table:
    for name, value in values.items():
        field = WINDOWS.field(name)
        row = row.set_column(row.schema.get_field_index(name), field, pa.array([value], field.type))
    return row


def _gpu_fault(stage: Stage) -> str | None:
    """Return what a lost CUDA context says: each further call in this process would fail, whatever its window."""
    torch = sys.modules.get("torch")
    if not stage.gpus or torch is None or not torch.cuda.is_available():
        return None
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        return _first_line(error)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0][:MOST_SAID]
