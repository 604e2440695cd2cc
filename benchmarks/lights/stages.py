"""One process of the speed of light: its share of the contents through one stage after the other, each timed.

Nothing waits for anything: all windows are decoded and kept, then each stage works over all of them. As many such
processes run at once as there are cores, so that each has the share of the machine that it has in the pipeline.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.stage import BUSY, Stage, Together, Work

A_BATCH = 8  # windows that models get together


@dataclass(frozen=True)
class Share:
    """What one process does."""

    stages: tuple[Stage, ...]  # decode, models together, commit
    contents: pa.Table


def seconds(share: Share) -> dict[str, float]:
    """Return the seconds of each stage by its name; loading the models is one of them."""
    decode, models, commit = share.stages
    if not isinstance(models, Together):
        raise TypeError(f"stage {models.name} is no group of stages")
    clock = _Clock({})
    windows = clock.time(decode.name, decode.open(), [share.contents])
    tables = [pa.concat_tables(windows[first : first + A_BATCH]) for first in range(0, len(windows), A_BATCH)]
    for part in models.stages:
        began = time.perf_counter()
        work = part.open()
        clock.add("loading", began)
        tables = clock.time(part.name, work, tables)
    done = [table.append_column("busy", pa.nulls(table.num_rows, BUSY)) for table in tables]
    clock.time(commit.name, commit.open(), done)
    return clock.spent


@dataclass(frozen=True)
class _Clock:
    spent: dict[str, float]

    def time(self, name: str, work: Work, tables: Sequence[pa.Table]) -> list[pa.Table]:
        began = time.perf_counter()
        out = [made for table in tables for made in work(table)]
        self.add(name, began)
        return out

    def add(self, name: str, began: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(seconds(pickle.loads(Path(sys.argv[1]).read_bytes()))))
