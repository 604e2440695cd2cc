"""The data sheet of fitted heads, after Gebru et al., "Datasheets for Datasets" (2021): from what, how good, where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from model_registry.model import ModelSpec
from model_registry.models.text.heads import NEVER, Heads
from pipelines.text.semantics.measure import InRegister
from pipelines.text.semantics.sets import TextSet

HEADS = ("label", "lowest", "doubt from", "settles alone from", "shown in", "may deny in")
REGISTERS = ("label", "register", "lines", "true", "AP", "precision", "recall", "denied", "false a thousand")


def described(one: TextSet) -> dict[str, str]:
    """What a file of heads says of a set."""
    return {"name": one.name, "licence": one.licence, "sha256": one.sha256, "source": one.source}


def sheet(spec: ModelSpec, heads: Heads, sets: Sequence[TextSet], rows: Sequence[InRegister]) -> str:
    """Markdown: the sets with licence and sha256, each head's band, and its figures register by register."""
    notes = heads.notes
    settings = ", ".join(f"{name} {value:g}" for name, value in notes.items() if isinstance(value, int | float))
    fitted = [
        (label, f"{low:.3f}", f"{doubt:.3f}", "never" if high >= NEVER else f"{high:.3f}", *names)
        for label, (low, high), doubt, *registers in zip(
            heads.labels, heads.bands.values(), heads.doubts.values(), heads.shown, heads.denies, strict=True
        )
        for names in [[", ".join(of) or "none" for of in registers]]
    ]
    figures = [
        (one.label, one.register, str(one.lines), str(one.true), *map(_share, shares), _share(1000 * one.false_alarms))
        for one in rows
        for shares in [(one.average_precision, one.precision, one.recall, one.lost)]
    ]
    parts = [
        f"# {spec.name} {spec.version}",
        f"Written by `nightjar models fit {spec.name} --sets FOLDER --sheet FILE`; fitted on {heads.tower}.",
        f"A caveat: {spec.caveat}.",
        f"Settings: {settings}. Lines: sha256 `{notes.get('lines_sha256')}`.",
        "## What it was fitted on",
        _table(("set", "licence", "sha256", "source"), [(o.name, o.licence, f"`{o.sha256}`", o.source) for o in sets]),
        "Beside the lines of `pipelines/text/semantics/lines/`, written for it (Apache-2.0).",
        "## Heads",
        "A head settles a line by its meaning alone only where it has shown a precision of "
        f"{notes.get('least_precision')} in at least {notes.get('least_registers'):g} registers. It denies what words "
        "found only in registers of writing in which it was measured.",
        _table(HEADS, fitted),
        "## Figures by register",
        "Lines that the head had not seen, nor anything of their family. Sets are named; the others are our own lines "
        "by form and language. Precision, recall and false alarms are those of meaning alone.",
        _table(REGISTERS, figures),
    ]
    return "\n\n".join(parts) + "\n"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
