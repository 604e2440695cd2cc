"""A small run under watch: receipts and contents as a night has them, worked out by hand."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
from upath import UPath

from jobs.watching.watch import Watch
from pipelines.pieces import RECEIPTS
from pipelines.rows import CONTENTS

DAY = "2026-11-21"


def receipts(*rows: dict) -> pa.Table:
    """Receipts of windows; each is the last of a content of a minute with ten frames unless it says otherwise."""
    usual = {"last": True, "frames": 10, "duration_ms": 60_000, "error_code": None, "busy": []}
    return pa.Table.from_pylist([usual | row for row in rows], RECEIPTS)


def busy(**ms: float) -> list[dict]:
    return [{"stage": stage, "ms": value} for stage, value in ms.items()]


def contents(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), CONTENTS)


def lines(folder: Path | UPath, run: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "logs" / f"{run}.jsonl").read_text("utf-8").splitlines()]


def progress_of(folder: Path | UPath) -> dict:
    return json.loads((folder / "progress.json").read_text("utf-8"))


def break_off(folder: Path, error: BaseException) -> None:
    """A night that ends with an error while it looks, two of five done."""
    with Watch(folder, "recall", "run-1") as watch, watch.step("looking", 5) as step:
        step.advance(2)
        raise error


def wait_for_ever(folder: Path) -> None:
    """Begin a night and look at it for ever, until somebody kills this process."""
    with Watch(folder, "recall", "run-1") as watch, watch.step("looking", 10) as step:
        step.advance(watch.receipts(receipts({"content_sha256": "a"})))
        watch._keeper.tell()
        sys.stdout.write("watching\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    wait_for_ever(Path(sys.argv[1]))
