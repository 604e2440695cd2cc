"""The nightly recall: every video of a manifest gets exactly one verdict. Resumable."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import date
from functools import partial

from jobs import progress, recipes
from jobs.arguments import NIGHTS, count
from jobs.night import How, run_night
from jobs.scheduling.timetable import dated
from jobs.table import print_json, print_table
from pipelines.manifest import read_manifest
from pipelines.places import Place, place
from pipelines.risk.judge import Tally

EXAMPLES = """examples:
  nightjar recall --date 2026-11-21 --input uploads.parquet --output recalls
  nightjar recall --date 2026-11-21 --input uploads.csv --output recalls --policy strict.toml --bundle clip-l14
  nightjar recall --date 2026-11-21 --input '/videos/**/*.mp4' --output recalls --limit 1000
  nightjar recall --date 2026-11-21 --input s3://bucket/uploads/dt=%Y-%m-%d/ --output s3://bucket/recalls
  nightjar recall --date 2026-11-21 --input uploads.parquet --output recalls --retry-failed

The manifest is Parquet, CSV or JSON lines with the columns video_id and uri (and title, description,
uploader_id, uploaded_at, views if there are any), or a folder, or a glob; %Y, %m and %d in it are those of
--date. Run the same command again after any interruption: finished videos are not decoded again. Only one run
of a night goes on at a time. What ended in an error is in failed.parquet; --retry-failed looks at it again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--date", required=True, type=day, metavar="D", help="the night, as YYYY-MM-DD")
    parser.add_argument("--input", required=True, metavar="M", help="manifest, folder or glob")
    parser.add_argument("--output", required=True, type=place, metavar="DIR", help="results go to DIR/dt=D/")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N rows")
    parser.add_argument("--retry-failed", action="store_true", help="look again at what failed.parquet lists")
    parser.add_argument("--wait", action="store_true", help="wait for another run of this night, not refuse")
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")
    recipes.add_arguments(parser)
    what = f"find reposts among tonight's uploads and those of the N nights before (N: {NIGHTS} where none is given)"
    parser.add_argument("--clusters", type=whole, nargs="?", const=NIGHTS, metavar="N", help=what)


def day(text: str) -> date:
    """Parse YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date, wanted YYYY-MM-DD") from error


def whole(text: str) -> int:
    """Parse a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Run the night and print what it found."""
    manifest = read_manifest(dated(args.input, args.date), args.limit)
    recipe = replace(recipes.from_arguments(args), clusters=args.clusters)
    folder = args.output / f"dt={args.date.isoformat()}"
    how = How(args.date, args.retry_failed, args.wait, partial(show, as_json=args.json))
    run_night("recall", f"Recall of {args.date.isoformat()}", manifest, recipe, folder, how).say()
    progress.say(f"report: {(folder / 'report.html').absolute()}")
    return 0


def show(folder: Place, tally: Tally, *, as_json: bool) -> None:
    """Verdicts to standard output; the rest goes to standard error."""
    if as_json:
        print_json(folder / "verdicts.parquet")
    else:
        print_table(tally)


if __name__ == "__main__":
    from jobs.cli import main

    main(["recall", *sys.argv[1:]])
