"""Keys of those who may call the service: made, revoked and listed in one file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs import progress
from model_registry.errors import UsageError
from pipelines.serving.api.keys import SCOPES, Key, KeyFile

EXAMPLES = """examples:
  nightjar keys create uploads --keys keys.json
  nightjar keys create comments --keys keys.json --scope check --scope moderations --rate 50
  nightjar keys list --keys keys.json
  nightjar keys revoke 3f9a01c2b7d4 --keys keys.json

A token is printed once, on standard output, and kept as a hash only. A service sees a change within a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's verbs."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="make a key and print its token")
    create.add_argument("name", type=_name, metavar="NAME", help="whose it is")
    create.add_argument("--scope", action="append", choices=SCOPES, help="what it may call (default: all)")
    create.add_argument("--rate", type=_rate, default=0.0, metavar="N", help="requests a second (default: no limit)")
    revoke = verbs.add_parser("revoke", help="end a key")
    revoke.add_argument("id", metavar="ID", help="as `nightjar keys list` shows it")
    listing = verbs.add_parser("list", help="show the keys")
    listing.add_argument("--json", action="store_true", help="print them as JSON lines")
    for verb in (create, revoke, listing):
        verb.add_argument("--keys", type=Path, required=True, metavar="FILE", help="the file of keys")


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    file = KeyFile(args.keys)
    if args.verb == "create":
        key, token = file.create(args.name, args.scope or SCOPES, args.rate)
        progress.say(f"key {key.id} of {key.name} in {args.keys}; its token is shown this once")
        print(token)
    elif args.verb == "revoke":
        key = file.revoke(args.id)
        progress.say(f"key {key.id} of {key.name} ended at {key.revoked_at}")
    else:
        if not args.keys.exists():
            raise UsageError(f"there is no file of keys at {args.keys}")
        _show(file.keys(), as_json=args.json)
    return 0


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate, allowed are 0 (no limit) and more")
    return rate


def _name(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no name, allowed are printable characters")
    return text


def _show(keys: list[Key], *, as_json: bool) -> None:
    if as_json:
        for key in keys:
            print(json.dumps({name: value for name, value in asdict(key).items() if name != "sha256"}))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("id", "name", "scopes", "rate", "created", "revoked"):
        table.add_column(title)
    for key in keys:
        rate = f"{key.rate:g}/s" if key.rate else "no limit"
        table.add_row(key.id, escape(key.name), " ".join(key.scopes), rate, key.created_at, key.revoked_at or "")
    Console().print(table)


if __name__ == "__main__":
    from jobs.cli import main

    main(["keys", *sys.argv[1:]])
