"""The nightly recall: every video of a manifest gets exactly one verdict. Resumable."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from jobs import progress, recipes
from jobs.arguments import count
from jobs.night import Outcome, run_night
from jobs.table import print_json, print_table
from pipelines.manifest import read_manifest

EXAMPLES = """examples:
  nightjar recall --date 2026-11-21 --input uploads.parquet --output recalls
  nightjar recall --date 2026-11-21 --input uploads.csv --output recalls --policy strict.toml --bundle clip-l14
  nightjar recall --date 2026-11-21 --input '/videos/**/*.mp4' --output recalls --limit 1000

The manifest is Parquet, CSV or JSON lines with the columns video_id and uri (and title, description,
uploader_id, uploaded_at, views if there are any), or a folder, or a glob. Run the same command again after
any interruption: finished videos are not decoded again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--date", required=True, type=day, metavar="D", help="the night, as YYYY-MM-DD")
    parser.add_argument("--input", required=True, metavar="M", help="manifest, folder or glob")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="results go to DIR/dt=D/")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N rows")
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")
    recipes.add_arguments(parser)


def day(text: str) -> date:
    """Parse YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date, wanted YYYY-MM-DD") from error


def run(args: argparse.Namespace) -> int:
    """Run the night and print what it found."""
    manifest = read_manifest(args.input, args.limit)
    recipe = recipes.from_arguments(args)
    folder = args.output / f"dt={args.date.isoformat()}"
    outcome = run_night("recall", f"Recall of {args.date.isoformat()}", manifest, recipe, folder, args.date)
    show(outcome, as_json=args.json)
    progress.say(f"report: {(folder / 'report.html').absolute()}")
    return 0


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Verdicts to standard output, the rest to standard error."""
    if as_json:
        print_json(outcome.folder / "verdicts.parquet")
    else:
        print_table(outcome.tally)
    progress.say(summary_line(outcome.summary))


def summary_line(summary: Mapping[str, Any]) -> str:
    """How the run went, in one line."""
    found, took = summary["counts"], summary["run"]["seconds"]
    kinds = ", ".join(f"{found[name]} {name}" for name in ("block", "review", "pass", "incomplete"))
    return f"{found['videos']} videos: {kinds}; {summary['throughput']['frames']} frames looked at in {took:.1f} s"


if __name__ == "__main__":
    from jobs.cli import main

    main(["recall", *sys.argv[1:]])
