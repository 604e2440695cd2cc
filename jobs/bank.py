"""The reference bank: the films, shows, music and known bad videos to look for, and what must never count."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs import bank_list, progress
from jobs.arguments import REFERENCE_INTERVAL_S, add_interval, add_models, count
from jobs.table import clock, printable
from pipelines.copyright.bank.reference import Kind, State
from pipelines.places import place

EXAMPLES = """examples:
  nightjar bank add films/ --bank bank
  nightjar bank add films/ --bank bank --metadata refs.csv
  nightjar bank add logo.mp4 --bank bank --kind negative
  nightjar bank list --bank bank --state quarantined
  nightjar bank disable some-film --bank bank --reason "licence under review"
  nightjar bank enable some-film --bank bank
  nightjar bank remove some-film --bank bank
  nightjar bank stats --bank bank
  nightjar bank export refs.csv --bank bank

What is added, disabled or removed takes effect in the next match. `nightjar bank VERB --help` says more."""

ADD = """examples:
  nightjar bank add films/ trailers/*.mp4 --bank bank
  nightjar bank add s3://studio/film.mp4 --bank bank --kind show
  nightjar bank add films/ --bank bank --metadata refs.csv
  nightjar bank add --bank bank --metadata refs.csv     # what the table lists
  nightjar bank add --bank bank --from-upload video-17 --night recalls/dt=2026-11-21   # a creator's original

refs.csv has `path` or `uri` and any of id, title, owner, kind and licences; an empty cell says nothing:
  path,id,title,owner,kind,licences
  films/a.mp4,some-film,Some Film,Some Studio,film,US:2025-01-01..2026-12-31;JP:2025-06-01..;*:..2024-12-31

A licence says where and when the work may be shown: TERRITORY:FROM..UNTIL, both days included, in UTC, either end
open; a territory is a code such as US, or * for all; `none` takes all licences away. The id is the file's stem unless
the table says more. What the bank already holds is not read again: only what the table says about it is changed. A
killed `add` goes on where it was."""

FIT = """examples:
  nightjar bank fit uploads/ --bank bank --bundle clip-b32
  nightjar bank fit 'stills/*.jpg' --bank bank --pictures 1000

A bank compares descriptors: embeddings of the bundle's tower, turned and stretched so that what edits change counts
little and what tells pictures apart counts much. For `lite` that was fitted on photographs and ships; for other
bundles, and better for every bundle, fit it on a few hundred varied frames of your own."""

ENABLE = """examples:
  nightjar bank enable some-film --bank bank
  nightjar bank enable some-song --bank bank --trust    # the flood guard leaves it alone from now on"""

EXPORT = """examples:
  nightjar bank export refs.csv --bank bank
  nightjar bank export refs.parquet --bank bank --fingerprints fingerprints.parquet

A CSV can be edited and read back with `nightjar bank add --metadata`. In the fingerprints, `descriptors` holds float16
numbers, little-endian, a row for each entry of `frame_ms`, and `pdq` 32 bytes for each."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One verb each."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_arguments(_verb(verbs, "add", "fingerprint references and put them in the bank", ADD))
    fit = _verb(verbs, "fit", "make an empty bank whose descriptors are fitted on your own footage", FIT)
    fit.add_argument("paths", nargs="+", metavar="PATH", help="videos or pictures: file, folder, glob or URI")
    add_models(fit)
    fit.add_argument("--pictures", type=count, default=500, metavar="N", help="frames to fit on (default: 500)")
    fit.add_argument("--threads", type=count, default=2, metavar="N", help="CPU threads for the model (default: 2)")
    for name, summary in (("remove", "take references out"), ("disable", "keep references and match them no more")):
        verb = _verb(verbs, name, summary, f"examples:\n  nightjar bank {name} some-film other-film --bank bank")
        verb.add_argument("ids", nargs="+", metavar="ID", help="a reference, as `list` names it")
    verbs.choices["disable"].add_argument("--reason", metavar="TEXT", help="why, for those who read `list`")
    enable = _verb(verbs, "enable", "match references again that were disabled or quarantined", ENABLE)
    enable.add_argument("ids", nargs="+", metavar="ID", help="a reference, as `list` names it")
    enable.add_argument("--trust", action="store_true", help="the flood guard leaves them alone from now on")
    bank_list.add_arguments(_verb(verbs, "list", "what is in the bank", bank_list.EXAMPLES))
    stats = _verb(verbs, "stats", "count it", "examples:\n  nightjar bank stats --bank bank --json")
    stats.add_argument("--json", action="store_true", help="print JSON")
    export = _verb(verbs, "export", "write references, and fingerprints, to files", EXPORT)
    export.add_argument("path", type=Path, metavar="PATH", help="a .parquet or .csv of the references")
    export.add_argument("--fingerprints", type=Path, metavar="PATH", help="a .parquet of the fingerprints")


def _verb(verbs: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary, epilog=examples)
    verb.add_argument("--bank", type=Path, required=True, metavar="DIR", help="the bank's folder")
    return verb


def _add_arguments(add: argparse.ArgumentParser) -> None:
    add.add_argument("paths", nargs="*", metavar="PATH", help="file, folder, glob or URI")
    add.add_argument("--metadata", type=Path, metavar="CSV", help="ids, titles, owners, kinds and licences by path")
    add.add_argument("--kind", choices=[*Kind], help="of those whose metadata does not say (default: film)")
    original = "make an upload of a stored night a reference, from its features (kind: creator)"
    add.add_argument("--from-upload", nargs="+", action="extend", metavar="VIDEO_ID", help=original)
    add.add_argument("--night", type=place, metavar="DIR", help="that night's folder")
    add_models(add)
    add_interval(add, REFERENCE_INTERVAL_S)
    add.add_argument("--json", action="store_true", help="print what became of each as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Dispatch the verb."""
    verbs = {
        "add": _add,
        "fit": _fit,
        "remove": _remove,
        "disable": _disable,
        "enable": _enable,
        "list": bank_list.run,
        "stats": _stats,
        "export": _export,
    }
    verbs[args.verb](args)
    return 0


def _add(args: argparse.Namespace) -> None:
    if args.from_upload:
        from jobs.bank_from_upload import add_uploads as add
    else:
        from jobs.bank_add import add

    rows = [asdict(outcome) for outcome in add(args)]
    if args.json:
        bank_list.print_lines(rows)
    else:
        shown = [row | {"length": clock(row.pop("duration_ms"))} for row in rows]
        bank_list.print_table(shown, ("outcome", "id", "length", "path", "note"))


def _fit(args: argparse.Namespace) -> None:
    from jobs.bank_fit import fit

    bank = fit(args)
    print(f"bank {args.bank}: empty, with the space {bank.space.id} of {bank.space.dimensions} dimensions")


def _remove(args: argparse.Namespace) -> None:
    from pipelines.copyright.bank.bank import Bank

    Bank.open(args.bank).remove(args.ids)
    print(f"removed: {', '.join(map(printable, dict.fromkeys(args.ids)))}")


def _disable(args: argparse.Namespace) -> None:
    _set_state(args, State.DISABLED, args.reason)


def _enable(args: argparse.Namespace) -> None:
    _set_state(args, State.ACTIVE, None, trusted=True if args.trust else None)


def _set_state(args: argparse.Namespace, state: State, reason: str | None, trusted: bool | None = None) -> None:
    from pipelines.copyright.bank.bank import Bank

    changed = Bank.open(args.bank).set_state(args.ids, state, reason, trusted=trusted)
    for words, ids in ((f"now {state}", changed), (f"{state} as before", sorted(set(args.ids) - set(changed)))):
        if ids:
            print(f"{words}: {', '.join(map(printable, ids))}")


def _stats(args: argparse.Namespace) -> None:
    from pipelines.copyright.bank.bank import Bank

    stats = Bank.open(args.bank).stats()
    if args.json:
        print(json.dumps(asdict(stats)))
        return
    counted = {
        kind: ", ".join(f"{n} {state}" for state, n in found.items()) for kind, found in stats.references.items()
    }
    told = {
        "hours": f"{stats.hours:,.1f}",
        "incomplete": f"{stats.incomplete:,}",
        "descriptors": f"{stats.frames:,} of {stats.dimensions} numbers",
        "peaks": f"{stats.peaks:,}",
        "on disk": f"{stats.bytes / 1e6:,.1f} MB",
        "space": stats.space,
        "version": stats.version,
    }
    for name, value in (counted | told).items():
        print(f"{name:12} {value}")


def _export(args: argparse.Namespace) -> None:
    from pipelines.copyright.bank.bank import Bank
    from pipelines.copyright.bank.export import check_path, export_fingerprints, export_references

    bank = Bank.open(args.bank)
    check_path(args.path)
    if args.fingerprints:
        check_path(args.fingerprints, (".parquet",))
    progress.say(f"{export_references(bank, args.path)} references: {args.path}")
    if args.fingerprints:
        progress.say(f"{export_fingerprints(bank, args.fingerprints)} fingerprints: {args.fingerprints}")


if __name__ == "__main__":
    from jobs.cli import main

    main(["bank", *sys.argv[1:]])
