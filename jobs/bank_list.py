"""`nightjar bank list`: the references asked for, in order of their ids, as a table or as JSON lines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from jobs import progress
from jobs.arguments import count
from jobs.table import clock, printable
from pipelines.copyright.bank.reference import Kind, Reference, State

if TYPE_CHECKING:
    from pipelines.copyright.bank.browse import Selection
    from pipelines.copyright.bank.reader import BankReader

ROWS = 1000  # of a table that nobody gave a limit
COLUMNS = ("id", "kind", "state", "length", "title", "owner", "licences", "note")
EXAMPLES = """examples:
  nightjar bank list --bank bank --kind music
  nightjar bank list --bank bank --search "night train" --limit 20
  nightjar bank list --bank bank --limit 100 --after some-film
  nightjar bank list --bank bank --json > references.jsonl

References come in order of their ids. A table ends after 1,000 rows where no limit is given; JSON lines do not end
before the bank does, and are printed as they are read."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Which references, and how."""
    verb.add_argument("--kind", choices=[*Kind], help="only this kind")
    verb.add_argument("--state", choices=[*State], help="only this state")
    verb.add_argument("--search", metavar="TEXT", help="only those with this in id, title, owner or URI, in any case")
    verb.add_argument("--limit", type=count, metavar="N", help="at most so many, the first ones")
    verb.add_argument("--after", metavar="ID", help="only those whose ids come after this one: the next page")
    verb.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: argparse.Namespace) -> None:
    """Print what is asked for; a table says on standard error what it leaves out."""
    from pipelines.copyright.bank.bank import Bank
    from pipelines.copyright.bank.browse import Selection

    bank = Bank.open(args.bank)
    kind, state = (Kind(args.kind) if args.kind else None), (State(args.state) if args.state else None)
    selection = Selection(kind=kind, state=state, text=args.search, after=args.after, limit=args.limit)
    if args.json:
        print_lines(flat_rows(bank, selection))
    else:
        _print_some(bank, selection)


def flat_rows(bank: BankReader, selection: Selection) -> Iterator[dict[str, Any]]:
    """Plain values, as they are read."""
    from pipelines.copyright.bank.export import flat

    return map(flat, _references(bank, selection))


def _references(bank: BankReader, selection: Selection) -> Iterator[Reference]:
    from pipelines.copyright.bank.tables import references_of

    return chain.from_iterable(map(references_of, bank.reference_tables(selection)))


def _print_some(bank: BankReader, selection: Selection) -> None:
    shown = selection if selection.limit else replace(selection, limit=ROWS)
    rows = list(map(_row, _references(bank, shown)))
    print_table(rows, COLUMNS)
    there = bank.count(replace(selection, limit=None)) if len(rows) == shown.limit else len(rows)
    if there > len(rows):
        last = printable(rows[-1]["id"])
        progress.say(f"{len(rows):,} of {there:,} references; the next: --after {last}, all: --json")


def _row(reference: Reference) -> dict[str, Any]:
    error = reference.error_code and f"incomplete: {reference.error_code}: {reference.error_message}"
    trusted = "trusted" if reference.trusted else None
    note = "; ".join(filter(None, (reference.reason, trusted, error)))
    licences = ";".join(map(str, reference.licences))
    return vars(reference) | {"length": clock(reference.duration_ms), "licences": licences, "note": note}


def print_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        print(json.dumps(row, ensure_ascii=True))


def print_table(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> None:
    """One line a row; names are hostile until shown otherwise."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[printable(str(row[column] or "")) for column in columns])
    Console(markup=False).print(table)
