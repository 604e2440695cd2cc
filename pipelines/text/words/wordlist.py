"""Word lists of other programs: text, CSV and JSON to the terms of a lexicon, and why a line is none."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from model_registry.errors import UsageError
from pipelines.text.semantics.labelled import read_lines, shipped
from pipelines.text.words.lexicon import LARGEST_FILE, MOST_TERMS
from pipelines.text.words.normalise import normal_forms
from pipelines.text.words.terms import check_term

COLUMNS = ("term", "word", "keyword", "domain", "text", "phrase")  # in any case; else the first column
COMMENTS = ("#", "//")
SHORT = 2  # characters of a term that is looked up among harmless lines


class Row(NamedTuple):
    """What may be a term, and where it stood."""

    line: int
    text: str


class Refused(NamedTuple):
    """A line that is no term, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """What came of a word list."""

    rows: int
    terms: tuple[str, ...]  # each once, by its normal form
    repeated: int
    refused: tuple[Refused, ...]


def read_words(file: Path) -> list[Row]:
    """The rows of a word list, by the ending of its name; raises UsageError that names the file."""
    try:
        if (size := file.stat().st_size) > LARGEST_FILE:
            raise UsageError(f"{file} has {size} bytes, wanted at most {LARGEST_FILE}: cut it into several")
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text") from error
    ending = file.suffix.lower()
    if ending == ".json":
        return _json_rows(file, text)
    if ending in (".csv", ".tsv"):
        return _csv_rows(file, text, "\t" if ending == ".tsv" else ",")
    return [Row(number, line) for number, line in enumerate(text.splitlines(), 1)]


def _csv_rows(file: Path, text: str, delimiter: str) -> list[Row]:
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{file}: line {reader.line_num} is no CSV: {error}") from error
    head = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    named = next((head.index(name) for name in COLUMNS if name in head), None)
    column, body = (0, rows) if named is None else (named, rows[1:])
    return [Row(line, row[column] if column < len(row) else "") for line, row in body]


def _json_rows(file: Path, text: str) -> list[Row]:
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}") from error
    return [Row(number, term) for number, term in enumerate(_json_terms(data), 1)]


def _json_terms(data: Any) -> Iterator[str]:
    """The texts of a list, of objects with a known key, of an object of lists, or of lists within lists."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        key = next((name for name in COLUMNS if isinstance(data.get(name), str)), None)
        for value in [data[key]] if key else data.values():
            yield from _json_terms(value)
    elif isinstance(data, list):
        for each in data:
            yield from _json_terms(each) if isinstance(each, str | list | Mapping) else (json.dumps(each),)


def imported(rows: Sequence[Row]) -> Imported:
    """Take what can be a term; terms of one normal form are one."""
    stripped = [(row.line, row.text.strip()) for row in rows]
    wanted = [(line, text) for line, text in stripped if text and not text.startswith(COMMENTS)]
    terms: dict[str, str] = {}
    refused, repeated = list[Refused](), 0
    for (line, text), form in zip(wanted, normal_forms([text for _, text in wanted]), strict=True):
        if reason := _fault(text, form, len(terms)):
            refused.append(Refused(line, reason))
        elif form in terms:
            repeated += 1
        else:
            terms[form] = text
    return Imported(len(rows), tuple(terms.values()), repeated, tuple(refused))


def _fault(text: str, form: str, taken: int) -> str | None:
    """Why a text is no term, or None."""
    if taken >= MOST_TERMS:
        return f"term {text[:30]!r} is one too many, wanted at most {MOST_TERMS} terms"
    try:
        check_term(text, form)
    except UsageError as error:
        return str(error)
    return None


def how_common(terms: Iterable[str], least: float) -> list[tuple[str, float]]:
    """Terms of one or two letters, and in what share of harmless lines each stands, the most common first."""
    short = [term for term in terms if len(term) <= SHORT]
    lines = _harmless()
    shares = [
        (term, sum(form in line for line in lines) / len(lines))
        for term, form in zip(short, normal_forms(short), strict=True)
    ]
    alone = [(term, share) for term, share in shares if share >= least or len(term) == 1]
    return sorted(alone, key=lambda each: (-each[1], each[0]))


@cache
def _harmless() -> list[str]:
    """The normal forms of the harmless lines that heads are fitted on."""
    return normal_forms([line.text for line in read_lines(shipped()) if not line.labels])


def lexicon_text(name: str, terms: Sequence[str], given: Mapping[str, object]) -> str:
    """A lexicon of one entry as TOML."""
    values = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in given.items() if value is not False]
    lines = [
        f"name = {json.dumps(name, ensure_ascii=False)}",
        'version = "1.0.0"',
        "",
        "[[entry]]",
        *values,
        "terms = [",
    ]
    lines += [f"    {json.dumps(term, ensure_ascii=False)}," for term in terms]
    return "\n".join([*lines, "]", "[entry.examples]", "match = []", "pass = []", ""])
