"""How nights stand: during a run, after it, and after a crash."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live

from jobs.arguments import count
from jobs.watching.logs import plain
from jobs.watching.nights import Standing, nights_in, standing
from jobs.watching.view import shown
from pipelines.places import place

EXAMPLES = """examples:
  nightjar status recalls                     # the last nights, and what stands out about the newest
  nightjar status recalls/dt=2026-11-21 --watch
  nightjar status s3://moderation/recalls --json

A night is waiting, running, done, failed, interrupted or stalled: its process is gone, or has said nothing for a
minute. Exit status: 0, or 1 if the newest night failed, was interrupted or has stalled, 2 if the call was wrong."""
EVERY_S = 2.0
WIDTH = 160  # of what is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="a night, or the folder that `recall --output` names")
    parser.add_argument("--nights", type=count, default=14, metavar="N", help="the newest N nights (default: 14)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object a night, oldest first")
    how.add_argument("--watch", action="store_true", help="look again every 2 seconds until the newest night is over")


def run(args: argparse.Namespace) -> int:
    """Show the nights."""
    nights = _nights(args)
    if args.json:
        for night in nights:
            print(json.dumps(plain(as_json(night)), allow_nan=False))
    elif args.watch:
        nights = _watched(args, nights)
    else:
        _console().print(shown(nights))
    return int(nights[-1].state.wants_help)


def _nights(args: argparse.Namespace) -> list[Standing]:
    return [standing(night) for night in nights_in(args.folder)[-args.nights :]]


def _watched(args: argparse.Namespace, nights: list[Standing]) -> list[Standing]:
    """Show them until the newest is over."""
    with Live(shown(nights), console=_console(), auto_refresh=False) as live:
        while not nights[-1].state.is_over:
            time.sleep(EVERY_S)
            nights = _nights(args)
            live.update(shown(nights), refresh=True)
    return nights


def _console() -> Console:
    """As wide as the terminal; what is not one cuts nothing off."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def as_json(night: Standing) -> Mapping[str, Any]:
    """What a program reads: the state, why, and what the files say."""
    return {
        "night": night.night,
        "folder": str(night.folder),
        "state": str(night.state),
        "why": night.why or None,
        "progress": night.progress or None,
        "counts": night.summary.get("counts"),
    }


if __name__ == "__main__":
    from jobs.cli import main

    main(["status", *sys.argv[1:]])
