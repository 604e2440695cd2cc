"""Nights to prune: one file of everything that a night leaves behind."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobs import prune

TODAY = datetime.now(UTC).date()
DECISIONS = {
    "verdicts.parquet",
    "signals.parquet",
    "matches.parquet",
    "manifest.parquet",
    "failed.parquet",
    "logs/driver.log",
    "notes.txt",
}
GOES = {
    "features/contents.parquet",
    "features/lite@1/frames-v3/windows-1.parquet",
    "features/lite@1/frames-v3/said-1.parquet",
    "features/lite@1/frames-v3/text/reader/reader.json",
    "evidence/a-0.webp",
    "report.html",
    "transcripts.parquet",
    "policy=strict@3/report.html",
    "policy=strict@3/evidence/a-0.webp",
    "policy=strict@3/transcripts.parquet",
}
AGAIN = {"policy=strict@3/verdicts.parquet", "policy=strict@3/summary.json"}


def policy_file(folder: Path, **days: int) -> Path:
    path = folder / "ours.toml"
    lines = [f"{kind} = {n}" for kind, n in days.items()]
    path.write_text("\n".join(['name = "ours"', 'version = "1"', "[retention]", *lines]))
    return path


def make_night(root, days_old: int, *, finished: bool = True, run_days_ago: int | None = None):
    """A night with something of everything, ten bytes a file."""
    night = root / f"dt={TODAY - timedelta(days=days_old)}"
    for name in DECISIONS | GOES | AGAIN:
        at = night / name
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text("x" * 10 if at.name != "summary.json" else "{}")
    if finished:
        began = datetime.now(UTC) - timedelta(days=days_old if run_days_ago is None else run_days_ago)
        summary = {"run": {"started_at": began.isoformat()}, "counts": {"videos": 3}}
        (night / "summary.json").write_text(json.dumps(summary))
    return night


def names(night) -> set[str]:
    if isinstance(night, Path):
        return {str(path.relative_to(night)) for path in night.rglob("*") if path.is_symlink() or not path.is_dir()} - {
            "lock"
        }
    return {at.removeprefix(f"{night.path}/") for at in night.fs.find(night.path)}


def call(folder, *options: str, policy: Path | str = "default") -> int:
    parser = argparse.ArgumentParser()
    prune.add_arguments(parser)
    return prune.run(parser.parse_args([str(folder), "--policy", str(policy), *options]))


def pruned(night) -> list[dict]:
    return json.loads((night / "summary.json").read_text()).get("pruned", [])
