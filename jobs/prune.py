"""Prune old nights: their decisions stay, features, pictures and transcripts go when the policy says so."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from jobs import progress
from jobs.retention import SUMMARY, Due, Rule, due, noted, read_summary
from model_registry.errors import NightjarError, UsageError
from pipelines.lock import LockedError, lock
from pipelines.places import Place, exists, place, redacted, write_text
from pipelines.risk.policy import load_policy
from pipelines.trees import children, is_folder, is_link, remove

EXAMPLES = """examples:
  nightjar prune recalls --older-than 30d --dry-run
  nightjar prune recalls --older-than 30d --policy ours.toml --yes
  nightjar prune s3://bucket/recalls --older-than 26w --yes
  nightjar prune recalls/dt=2026-11-21 --older-than 0d

The policy's [retention] says for how many days features, evidence and transcripts stay; nothing younger than
--older-than goes whatever it says. Verdicts, signals, matches, the manifest, the summary, failed.parquet and logs stay
for ever. A night that is being worked on is left alone, so is one that did not finish unless --unfinished is given.
Killed, run it again and it goes on. What went, when and by which policy is noted in the night's summary.json."""
NEVER_AGAIN = {
    "features": "judge and rescan can no longer be run on it, and a recall of it would decode its videos again",
    "transcripts.parquet": "subtitles can no longer be written of it",
    "evidence": "its pictures are gone",
    "report.html": "its report is gone",
}
DONE_FIRST = "windows-*"  # without it a piece of features does not exist: none is ever half there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="a folder with nights (dt=*), or one night; or a URI")
    parser.add_argument("--older-than", required=True, type=days, metavar="AGE", help="least age, such as 30d or 26w")
    parser.add_argument("--policy", default="default", help="a shipped policy or a TOML file (default: default)")
    parser.add_argument("--unfinished", action="store_true", help="prune nights without a summary too")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and touch nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object a night")


def days(text: str) -> int:
    """Parse an age in days (`30d`) or weeks (`4w`)."""
    found = re.fullmatch(r"([0-9]{1,5})([dw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no age, wanted days such as 30d or weeks such as 4w")
    return int(found[1]) * (7 if found[2] == "w" else 1)


def run(args: argparse.Namespace) -> int:
    """Say what goes, ask, and remove it."""
    rule = Rule(load_policy(args.policy), args.older_than, args.unfinished)
    today = datetime.now(UTC).date()
    found = [_due(night, rule, today) for night in nights_in(args.folder)]
    going = [one for one in found if one.files or one.is_half_done]
    _show(found, going, as_json=args.json, dry_run=args.dry_run)
    if going and not args.dry_run:
        _confirm(going, sure=args.yes)
        gone = [one for one in going if prune(one, rule)]
        progress.say(f"pruned {_amount(gone)}")
    return 0


def nights_in(folder: Place) -> list[Place]:
    """Return the folder itself if it is a night's, or else the nights in it, oldest first; raises UsageError."""
    if exists(folder) if folder.name.startswith("dt=") else exists(folder / SUMMARY):
        return [folder]
    try:
        found = [one for one in children(folder) if one.name.startswith("dt=") and (is_link(one) or is_folder(one))]
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise UsageError(f"{redacted(str(folder))} cannot be read: {error.strerror or error}") from error
    return found or _no_night(folder)


def _no_night(folder: Place) -> list[Place]:
    raise UsageError(f"{redacted(str(folder))} is no night and has none: there is no {SUMMARY} and no dt=*")


def _due(night: Place, rule: Rule, today: date) -> Due:
    try:
        return due(night, rule, today)
    except OSError as error:
        raise NightjarError(f"night {redacted(str(night))} cannot be read: {error.strerror or error}") from error


def prune(one: Due, rule: Rule) -> bool:
    """Hold the night, note what goes, remove it, and note that it is gone; False where it was left alone.

    The note comes first, so that nobody takes a night that was pruned half for a whole one. Raises NightjarError.
    """
    try:
        with lock(one.night, "prune"):
            return _prune_held(one, rule)
    except LockedError as error:
        progress.say(f"{_name(one)} is left alone: {error}")
    except OSError as error:
        reason = f"{error.strerror or error}; it is half done, run it again"
        raise NightjarError(f"night {redacted(str(one.night))} cannot be pruned: {reason}") from error
    return False


def _prune_held(one: Due, rule: Rule) -> bool:
    if read_summary(one.night) != one.summary:
        progress.say(f"{_name(one)} is another night by now: left alone")
        return False
    began = datetime.now(UTC)
    _note(one, rule, began, None)
    for part in one.parts:
        remove(part.place, DONE_FIRST)
    _note(one, rule, began, datetime.now(UTC))
    return True


def _note(one: Due, rule: Rule, began: datetime, ended: datetime | None) -> None:
    if one.summary is not None:
        summary = noted(one.summary, one.parts, rule, began, ended)
        write_text(one.night / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def _confirm(going: Sequence[Due], *, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: give --yes, or --dry-run to see what would go")
    progress.console.print(f"Remove {_amount(going)}? It cannot be undone. [y/N] ", end="", markup=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was removed")


def _amount(going: Sequence[Due]) -> str:
    files, size = sum(one.files for one in going), sum(one.bytes for one in going)
    return f"{files} files, {decimal(size)}, of {len(going)} night{'s' if len(going) != 1 else ''}"


def _show(found: Sequence[Due], going: Sequence[Due], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        for one in found:
            print(json.dumps({**_facts(one), "dry_run": dry_run}))
    elif going:
        Console().print(_table(going))
    for one in found:
        if one.why_not:
            progress.say(f"{_name(one)} {one.why_not}: left alone")
        for link in one.links:
            progress.say(f"{link} is a symbolic link: left alone, and so is what it leads to")
    if not going:
        progress.say("nothing is due")
    names = {part.name for one in going for part in one.parts}
    for name in (name for name in NEVER_AGAIN if name in names):
        progress.say(f"a night without its {name}: {NEVER_AGAIN[name]}")


def _table(going: Sequence[Due]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("night", "days", "what goes", "files", "size"):
        table.add_column(title, justify="right" if title in ("days", "files", "size") else "left", overflow="fold")
    for one in going:
        for part in one.parts:
            size = Text(decimal(part.tree.bytes))
            table.add_row(Text(_name(one)), str(one.age_days), Text(part.name), str(part.tree.files), size)
    return table


def _facts(one: Due) -> dict[str, Any]:
    parts = {part.name: {"files": part.tree.files, "bytes": part.tree.bytes} for part in one.parts}
    return {"night": redacted(str(one.night)), "age_days": one.age_days, "parts": parts, "left_alone": one.why_not}


def _name(one: Due) -> str:
    return one.night.name or redacted(str(one.night))


if __name__ == "__main__":
    from jobs.cli import main

    main(["prune", *sys.argv[1:]])
