"""Labelled lines: what a head is fitted on, a table of group, language, form, labels and text.

A group is a family of paraphrases, in whatever language; lines of one group never stand on both sides of a split.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import UsageError
from model_registry.labels import taxonomy

SHIPPED = Path(__file__).with_name("lines")
COLUMNS = ("group", "language", "form", "labels", "text")
FORMS = ("Voice", "OCR", "Text")


@dataclass(frozen=True)
class LabelledLine:
    """One line and the labels that are true of it; none where it is benign."""

    group: str
    language: str  # ISO 639-1
    form: str
    labels: tuple[str, ...]
    text: str
    source: str = ""  # the set that it comes from; none: lines written for the fit

    @property
    def register(self) -> str:
        """What a head has to show itself in: a set, or our own lines of a language."""
        return self.source or f"ours {self.language}"

    def __post_init__(self) -> None:
        """Refuse a line that could not be fitted on."""
        if not self.group or not self.text.strip():
            raise ValueError(f"group {self.group!r} with the text {self.text!r}, wanted both")
        if self.form not in FORMS:
            raise ValueError(f"form {self.form!r}, allowed: {', '.join(FORMS)}")
        if unknown := sorted(set(self.labels) - taxonomy().names()):
            raise ValueError(f"label {unknown[0]!r} is not in the taxonomy; see `nightjar models list --labels`")


def shipped() -> list[Path]:
    """The files that come with this program."""
    return sorted(SHIPPED.glob("*.tsv"))


def read_lines(paths: Iterable[Path]) -> list[LabelledLine]:
    """Read tab-separated files; raises UsageError with file and row where one is wrong, or a text is there twice."""
    lines: list[LabelledLine] = []
    seen: dict[str, str] = {}
    for path in paths:
        for number, row in _rows(path):
            try:
                line = _line(row)
            except ValueError as error:
                raise UsageError(f"{path}, row {number}: {error}") from error
            if line.text in seen:
                raise UsageError(f"{path}, row {number}: the text {line.text!r} stands in {seen[line.text]} too")
            seen[line.text] = f"{path.name}, row {number}"
            lines.append(line)
    return lines


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
            if tuple(table.fieldnames or ()) != COLUMNS:
                found = ", ".join(table.fieldnames or ()) or "none"
                raise UsageError(f"{path} has the columns {found}; wanted, separated by tabs: {', '.join(COLUMNS)}")
            yield from ((table.line_num, row) for row in table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _line(row: Mapping[str, str | None]) -> LabelledLine:
    if None in row or None in row.values():
        raise ValueError(f"it has not {len(COLUMNS)} cells")
    cells = {name: row[name] or "" for name in COLUMNS}
    labels = tuple(label.strip() for label in cells["labels"].split(";") if label.strip())
    return LabelledLine(**{**cells, "labels": labels})  # type: ignore[arg-type]  # labels is the one that is no str


def targets(lines: Sequence[LabelledLine], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return bool [N, L]: which labels are true of which line."""
    return np.array([[label in line.labels for label in labels] for line in lines], bool).reshape(-1, len(labels))


def benign(true_NL: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return bool [N]: of which lines no label is true."""
    return np.asarray(~true_NL.any(axis=1))


def digest(lines: Sequence[LabelledLine]) -> str:
    """Return the sha256 of all lines in order: what a fit was made of."""
    joined = "\n".join("\t".join((*map(str, vars(line).values()),)) for line in lines)
    return hashlib.sha256(joined.encode()).hexdigest()
