"""The model registry: what there is, what is on this machine, which version is champion."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs import models_fit, progress
from model_registry import store
from model_registry.artifacts import artifact, fetch, present
from model_registry.bundles import BUNDLES, bundle_named, needed
from model_registry.catalog import CATALOG, model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.labels import taxonomy

IN_JSON_ONLY = ("reads", "tower", "licence")
EXAMPLES = """examples:
  nightjar models list
  nightjar models list --labels
  nightjar models pull lite
  nightjar models register open_nsfw open-nsfw=retrained.onnx --alias challenger
  nightjar models promote open_nsfw 2
  nightjar models promote open_nsfw --builtin
  nightjar models fit --lines ours.tsv

Registered versions live in MLflow: a SQLite file under $NIGHTJAR_HOME (default ~/.nightjar), or the server
that MLFLOW_TRACKING_URI names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One verb each."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="models, bundles and registered versions")
    listing.add_argument("--labels", action="store_true", help="the taxonomy instead")
    listing.add_argument("--json", action="store_true", help="print JSON")
    pull = verbs.add_parser("pull", help="fetch and verify a bundle's files")
    pull.add_argument("bundle", help=", ".join(BUNDLES))
    register = verbs.add_parser("register", help="add files as a new version of a model")
    register.add_argument("model", help="a name of the catalog")
    register.add_argument("files", nargs="+", metavar="ARTIFACT=PATH", help="a file or folder for each artifact")
    register.add_argument("--alias", choices=store.ALIASES, help="point this alias at the new version")
    promote = verbs.add_parser("promote", help="point an alias at a version")
    promote.add_argument("model", help="a name of the catalog")
    promote.add_argument("version", nargs="?", help="number of a registered version")
    promote.add_argument("--to", default="champion", choices=store.ALIASES, help="alias (default: champion)")
    promote.add_argument("--builtin", action="store_true", help="go back to the version built in")
    fit = verbs.add_parser("fit", help=models_fit.SUMMARY, description=models_fit.__doc__, epilog=models_fit.EXAMPLES)
    models_fit.add_arguments(fit)


def run(args: argparse.Namespace) -> int:
    """Dispatch the verb."""
    verbs = {"list": _list, "pull": _pull, "register": _register, "promote": _promote, "fit": models_fit.run}
    verbs[args.verb](args)
    return 0


def _list(args: argparse.Namespace) -> None:
    rows = _label_rows() if args.labels else [_model_row(name) for name in CATALOG]
    if args.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = [name for name in rows[0] if name not in IN_JSON_ONLY]
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == columns[0])
    for row in rows:
        table.add_row(*[_cell(row[column]) for column in columns])
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(value) if isinstance(value, list) else str(value)


def _label_rows() -> list[dict[str, Any]]:
    return [
        {"label": label.name, "forms": list(label.forms), "en": label.en, "zh": label.zh} for label in taxonomy().labels
    ]


def _model_row(name: str) -> dict[str, Any]:
    spec = model_class(name).spec
    registered = [
        f"{number} ({', '.join(aliases)})" if aliases else number
        for number, aliases in store.registered_versions(name).items()
    ]
    return {
        "model": name,
        "version": spec.version,
        "bundles": [bundle.name for bundle in BUNDLES.values() if name in bundle.models],
        "reads": spec.reads.value,
        "tower": spec.tower,
        "labels": len(spec.labels),
        "here": all(_is_here(row) for row in spec.artifacts),
        "licence": sorted({artifact(row).licence for row in spec.artifacts}),
        "registered": registered,
    }


def _is_here(row: str) -> bool:
    try:
        return present(artifact(row)) is not None
    except NightjarError:
        return False  # a file of that name with another content


def _pull(args: argparse.Namespace) -> None:
    rows = needed(bundle_named(args.bundle).models)
    with progress.bar(f"pulling {args.bundle}", len(rows)) as bar:
        paths = []
        for row in rows:
            paths.append(fetch(artifact(row)))
            bar.advance(1, row)
    for row, path in zip(rows, paths, strict=True):
        print(f"{row}  {path}")


def _register(args: argparse.Namespace) -> None:
    files = parse_files(args.model, args.files)
    version = store.register(args.model, files, args.alias)
    print(f"{args.model} version {version}" + (f" is {args.alias}" if args.alias else ""))


def parse_files(model: str, pairs: Sequence[str]) -> dict[str, Path]:
    """Parse ARTIFACT=PATH pairs; they have to cover what the model loads, no more and no less."""
    wanted = set(model_class(model).spec.artifacts)
    files = {name: Path(path) for name, _, path in (pair.partition("=") for pair in pairs)}
    if set(files) != wanted:
        found = ", ".join(sorted(files))
        raise UsageError(f"model {model} loads the artifacts {', '.join(sorted(wanted))}; given: {found}")
    if missing := [str(path) for path in files.values() if not path.exists()]:
        raise UsageError(f"there is no {', '.join(missing)}")
    return files


def _promote(args: argparse.Namespace) -> None:
    model_class(args.model)
    if args.builtin == bool(args.version):
        raise UsageError("give either a version or --builtin")
    if args.builtin:
        store.demote(args.model, args.to)
        print(f"{args.model}: {args.to} is the version built in")
    else:
        store.promote(args.model, args.version, args.to)
        print(f"{args.model}: {args.to} is version {args.version}")


if __name__ == "__main__":
    from jobs.cli import main

    main(["models", *sys.argv[1:]])
