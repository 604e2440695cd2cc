"""What the driver and its engines say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import pyarrow as pa

from pipelines.stage import Stage


class Job(NamedTuple):
    """Rows on their way in."""

    number: int
    table: pa.Table


class Want(NamedTuple):
    """The engine can take more jobs."""

    jobs: int


class Done(NamedTuple):
    """Rows on their way out, and the jobs that are finished with them."""

    tables: list[pa.Table]
    jobs: list[int]


class Finished(NamedTuple):
    """The last job is done; the engine waits for another plan."""


class Failed(NamedTuple):
    """A bad program or a bad machine: no row is at fault."""

    error: Exception


@dataclass(frozen=True)
class Plan:
    """What an engine runs."""

    stages: tuple[Stage, ...]
    threads: int  # that run the stages before the models
    rows_a_piece: int
    ahead: tuple[Stage, ...] = ()  # of the next plan: opened while this one's models compute

    def parts(self) -> tuple[list[Stage], list[Stage], list[Stage]]:
        """The stages before the models, the models, and the stages behind them."""
        first = list(takewhile(lambda stage: not stage.actors, self.stages))
        last = list(takewhile(lambda stage: not stage.actors, reversed(self.stages[len(first) :])))[::-1]
        return first, list(self.stages[len(first) : len(self.stages) - len(last)]), last
