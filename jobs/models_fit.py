"""Fit a bundle's text heads on labelled lines, measure them on groups held out, and register them as a version."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jobs import progress, session
from jobs.arguments import count
from model_registry import store
from model_registry.bundles import pin_model
from model_registry.catalog import CATALOG, model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.model import ModelSpec, predict_all
from model_registry.models.text.heads import Heads, TextHeads
from pipelines.predict import loaded
from pipelines.text.semantics.fit import FOLDS, cross_validate, fit, held_out
from pipelines.text.semantics.labelled import read_lines, shipped
from pipelines.text.semantics.measure import Measured, measure

SHARES = (
    *("average_precision", "precision", "recall", "lost", "raised", "in_doubt"),
    *("false_alarms", "false_doubts", "calibration_error"),
)
SUMMARY = "fit the text heads on labelled lines and register the new version"
EXAMPLES = """examples:
  nightjar models fit
  nightjar models fit --lines ours.tsv --promote
  nightjar models fit --lines ours.tsv --without-shipped

A table has the columns group, language, form, labels and text, separated by tabs; several labels are separated by `;`,
a benign line has none. A group is a family of paraphrases: heads are measured on whole groups that they have not seen.
The new version is the challenger, which `--alias challenger` runs, until it is promoted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to fit, on what, and what becomes of it."""
    parser.add_argument("model", nargs="?", default=TextHeads.spec.name, help="the heads (default: %(default)s)")
    parser.add_argument("--lines", type=Path, action="append", default=[], metavar="TSV", help="more labelled lines")
    parser.add_argument("--without-shipped", action="store_true", help="leave out the lines that come with Nightjar")
    parser.add_argument("--promote", action="store_true", help="make the new version champion, not challenger")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; an absent model is an error")
    parser.add_argument("--threads", type=count, default=2, metavar="N", help="CPU threads for the tower (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Read, embed, fit, measure, register; print a row a label."""
    spec = _spec(args.model)
    lines = read_lines([*([] if args.without_shipped else shipped()), *args.lines])
    progress.say(f"{len(lines)} lines in {len({line.group for line in lines})} groups")
    tower = pin_model(spec.tower, download=not args.offline)
    embeddings_ND = predict_all(loaded(tower, "cpu", args.threads), [line.text for line in lines])
    progress.say(f"fitting {len(spec.labels)} heads, each {FOLDS + 1} times")
    logits = cross_validate(embeddings_ND, lines, spec.labels)
    heads = fit(embeddings_ND, lines, logits, tower.source)
    rows = measure(held_out(logits), lines)
    _print(rows)
    alias = "champion" if args.promote else "challenger"
    version = _register(spec, heads, alias)
    print(f"{spec.name} version {version} is {alias}")
    _log(spec, heads, rows, version)
    return 0


def _spec(name: str) -> ModelSpec:
    """The model's spec, where it is one that can be fitted here."""
    if not issubclass(model := model_class(name), TextHeads):
        fitted = ", ".join(each for each, found in CATALOG.items() if issubclass(found, TextHeads))
        raise UsageError(f"model {name} has no heads to fit; allowed: {fitted}")
    return model.spec


def _register(spec: ModelSpec, heads: Heads, alias: str) -> str:
    (row,) = spec.artifacts
    with tempfile.TemporaryDirectory() as scratch:
        heads.write(path := Path(scratch) / "heads.npz")
        return store.register(spec.name, {row: path}, alias)


def _log(spec: ModelSpec, heads: Heads, rows: Sequence[Measured], version: str) -> None:
    """One MLflow run; the version is registered whether it can be written or not."""
    tags = {"model": spec.name, "version": version, "tower": heads.tower}
    try:
        session.log_run("models fit", heads.notes, metrics_of(rows), tags)
    except NightjarError as error:
        progress.say(f"warning: {error}")


def metrics_of(rows: Sequence[Measured]) -> dict[str, float]:
    """Name every share as MLflow allows it: `average_precision/Abuse-Insult/zh`, `all` for both languages."""
    return {
        f"{share}/{_plain(row.label)}/{row.language or 'all'}": getattr(row, share)
        for row in rows
        for share in SHARES
        if not math.isnan(getattr(row, share))
    }


def _plain(label: str) -> str:
    return label.replace("/", "-").replace("&", "and")


def _print(rows: Sequence[Measured]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("label", "", "lines", *(share.replace("_", " ") for share in SHARES)):
        table.add_column(title, justify="left" if title in ("label", "") else "right", overflow="fold")
    for row in rows:
        shares = [f"{getattr(row, share):.3f}" for share in SHARES]
        table.add_row(row.label, row.language or "all", str(row.lines), *shares)
    Console().print(table)
