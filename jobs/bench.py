"""The benchmarks: each measures its claims within one run, against the last one here, logs it and writes a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import registry

EXAMPLES = """examples:
  nightjar bench                      # lists them
  nightjar bench decode --videos ~/videos
  nightjar bench gpu --videos ~/videos --output reports   # says so where there is no GPU
  nightjar bench all --videos ~/videos --output reports"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("name", nargs="?", help="a benchmark, or all")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="folder of videos to measure on (default: samples)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="repetitions (default: 5)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the dated report and its pictures here")


def run(args: argparse.Namespace) -> int:
    """List, or run."""
    return registry.run(args.name, args.videos, args.repeat, args.output)


if __name__ == "__main__":
    from jobs.cli import main

    main(["bench", *sys.argv[1:]])
