"""Fit a bundle's text heads on labelled lines, measure them on groups held out, and register them as a version."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
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
from model_registry.models.text.ngram_heads import NgramHeads
from pipelines.predict import loaded
from pipelines.text.semantics.features import of_embeddings
from pipelines.text.semantics.fit import FOLDS, HeldOut, cross_validate, fit, held_out
from pipelines.text.semantics.labelled import LabelledLine, digest, read_lines, shipped
from pipelines.text.semantics.measure import Measured, by_register, measure
from pipelines.text.semantics.scripts import fit_scripts
from pipelines.text.semantics.sets import fitting, lines_of, text_sets
from pipelines.text.semantics.sheet import described, sheet
from pipelines.text.words.characters import simplified

SHARES = (
    *("average_precision", "precision", "recall", "lost", "raised", "in_doubt"),
    *("false_alarms", "false_doubts", "calibration_error"),
)
SUMMARY = "fit the text heads on labelled lines and register the new version"
EXAMPLES = """examples:
  nightjar models fit
  nightjar models fit --lines ours.tsv --promote
  nightjar models fit --lines ours.tsv --without-shipped
  nightjar models fit text_heads_ngrams --sets public/ --sheet docs/heads.md

A table has the columns group, language, form, labels and text, separated by tabs; several labels are separated by `;`,
a benign line has none. A group is a family of paraphrases: heads are measured on whole groups that they have not seen.
`--sets` names a folder with the public sets of pipelines/text/semantics/sets.toml, each checked against its sha256.
The new version is the challenger, which `--alias challenger` runs, until it is promoted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to fit, on what, and what becomes of it."""
    parser.add_argument("model", nargs="?", default=TextHeads.spec.name, help="the heads (default: %(default)s)")
    parser.add_argument("--lines", type=Path, action="append", default=[], metavar="TSV", help="more labelled lines")
    parser.add_argument("--sets", type=Path, metavar="FOLDER", help="public sets to fit on too, with harmless text")
    parser.add_argument("--sheet", type=Path, metavar="MD", help="write the data sheet of the heads here")
    parser.add_argument("--without-shipped", action="store_true", help="leave out the lines that come with Nightjar")
    parser.add_argument("--promote", action="store_true", help="make the new version champion, not challenger")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; an absent model is an error")
    parser.add_argument("--threads", type=count, default=2, metavar="N", help="CPU threads for the tower (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Read, embed, fit, measure, register; print a row a label."""
    spec = _spec(args.model)
    sets = text_sets() if args.sets else []
    lines = read_lines([*([] if args.without_shipped else shipped()), *args.lines])
    own_sha256 = digest(lines)
    lines = fitting(lines, [lines_of(each, args.sets) for each in sets], spec)
    progress.say(f"{len(lines)} lines in {len({line.group for line in lines})} groups")
    progress.say(f"fitting {len(spec.labels)} heads, each {FOLDS + 1} times")
    fitted = _fitted(spec, lines, {each.name: each.most_false for each in sets}, args)
    noted = {"sets": [described(each) for each in sets], "own_lines_sha256": own_sha256}
    files = {name: replace(heads, notes=dict(heads.notes) | noted) for name, heads in fitted.files.items()}
    heads = next(iter(files.values()))
    rows = measure(fitted.held, fitted.lines)
    _print(rows)
    alias = "champion" if args.promote else "challenger"
    version = _register(spec, files, alias)
    print(f"{spec.name} version {version} is {alias}")
    if args.sheet:
        args.sheet.write_text(sheet(spec, heads, sets, by_register(fitted.held, fitted.lines)), "utf-8")
    _log(spec, heads, rows, version)
    return 0


@dataclass(frozen=True)
class Fitted:
    """Heads for each artifact of a model, and what they say of lines that they had not seen."""

    files: Mapping[str, Heads]
    held: HeldOut
    lines: Sequence[LabelledLine]


def _fitted(
    spec: ModelSpec, lines: Sequence[LabelledLine], limits: Mapping[str, float], args: argparse.Namespace
) -> Fitted:
    """Fit on embeddings where the model reads a tower, else on n-grams."""
    if not spec.tower:
        found = fit_scripts(lines, spec.labels, limits)
        return Fitted(dict(zip(spec.artifacts, found.heads.values(), strict=True)), found.held, found.lines)
    tower = pin_model(spec.tower, download=not args.offline)
    embedded = predict_all(loaded(tower, "cpu", args.threads), [simplified(line.text) for line in lines])
    features = of_embeddings(np.stack(list(embedded)))
    logits = cross_validate(features, lines, spec.labels, limits)
    heads = fit(features, lines, logits, tower.source)
    return Fitted({spec.artifacts[0]: heads}, held_out(logits), lines)


def _spec(name: str) -> ModelSpec:
    """The model's spec, where it is one that can be fitted here."""
    if not issubclass(model := model_class(name), TextHeads | NgramHeads):
        fitted = ", ".join(each for each, found in CATALOG.items() if issubclass(found, TextHeads | NgramHeads))
        raise UsageError(f"model {name} has no heads to fit; allowed: {fitted}")
    return model.spec


def _register(spec: ModelSpec, files: Mapping[str, Heads], alias: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch) / f"{name}.npz" for name in files}
        for name, heads in files.items():
            heads.write(paths[name])
        return store.register(spec.name, paths, alias)


def _log(spec: ModelSpec, heads: Heads, rows: Sequence[Measured], version: str) -> None:
    """One MLflow run; the version is registered whether it can be written or not."""
    tags = {"model": spec.name, "version": version, "tower": heads.tower}
    try:
        settings = {name: value for name, value in heads.notes.items() if name != "sets"}
        session.log_run("models fit", settings, metrics_of(rows), tags)
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
