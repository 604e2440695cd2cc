"""Scan on demand: files, folders, globs and URIs, through the very stages of the nightly recall."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from jobs import progress, recipes, session
from jobs.arguments import count
from jobs.night import How, run_night
from jobs.recall import show
from pipelines.manifest import manifest_of_paths
from pipelines.places import place

EXAMPLES = """examples:
  nightjar scan clip.mp4
  nightjar scan uploads/ more/*.webm --json
  nightjar scan uploads/ --output results   # keeps verdicts, evidence and report; a second run resumes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, glob or URI")
    parser.add_argument("--output", type=place, metavar="DIR", help="keep everything in DIR (default: only print)")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N videos")
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")
    recipes.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run and print."""
    manifest = manifest_of_paths(args.paths, args.limit)
    folder = args.output or Path(tempfile.mkdtemp(prefix="nightjar-scan-"))
    try:
        with session.ahead():
            recipe = recipes.from_arguments(args)
            how = How(show=partial(show, as_json=args.json))
            run_night("scan", "Scan", manifest, recipe, folder, how).say()
    finally:
        if args.output is None:
            shutil.rmtree(folder, ignore_errors=True)
    if args.output:
        progress.say(f"report: {(folder / 'report.html').absolute()}")
    return 0


if __name__ == "__main__":
    from jobs.cli import main

    main(["scan", *sys.argv[1:]])
