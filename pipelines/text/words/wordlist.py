"""Word lists of other programs: text, CSV and JSON to the terms of a lexicon, and why a line is none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from model_registry.errors import UsageError
from pipelines.text.semantics.labelled import read_lines, shipped
from pipelines.text.words.lexicon import LARGEST_FILE, MOST_TERMS
from pipelines.text.words.normalise import normal_forms
from pipelines.text.words.terms import check_term

COLUMNS = ("term", "word", "keyword", "domain", "text", "phrase")  # in any case; else the first column
COMMENTS = ("#", "//")
AT_ONCE = 10_000  # rows that are looked at together
LONGEST_LINE = 2**16  # bytes of a line that are kept: no term is longer
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
    refused: int
    beyond: int  # terms that no lexicon has room for


def read_words(file: Path) -> Iterator[Row]:
    """The rows of a word list, by the ending of its name, a line at a time; raises UsageError that names the file.

    JSON alone is read whole; a longer list is one object a line (`.jsonl`), text or a table.
    """
    ending = file.suffix.lower()
    try:
        if ending == ".json":
            yield from _json_rows(file)
        elif ending in (".jsonl", ".ndjson"):
            yield from _json_lines(file)
        elif ending in (".csv", ".tsv"):
            yield from _csv_rows(file, "\t" if ending == ".tsv" else ",")
        else:
            yield from _lines(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _lines(file: Path) -> Iterator[Row]:
    """Lines without their ends; of one that is too long its beginning, which is refused as a term."""
    with file.open("rb") as source:
        number = 0
        while raw := source.readline(LONGEST_LINE):
            number += 1
            cut = raw
            while len(cut) == LONGEST_LINE and not cut.endswith(b"\n"):
                cut = source.readline(LONGEST_LINE)
            yield Row(number, _decoded(file, number, raw, whole=cut is raw))


def _decoded(file: Path, number: int, raw: bytes, *, whole: bool) -> str:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8", "strict" if whole else "ignore")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file}: line {number}, byte {error.start + 1} is not UTF-8; save the file as UTF-8 text"
        ) from error
    return text.rstrip("\r\n")


def _csv_rows(file: Path, delimiter: str) -> Iterator[Row]:
    reader = csv.reader((row.text + "\n" for row in _lines(file)), delimiter=delimiter)
    column: int | None = None
    try:
        for row in filter(None, reader):
            if column is None:
                head = [cell.strip().lower() for cell in row]
                named = next((head.index(name) for name in COLUMNS if name in head), None)
                column = named or 0
                if named is not None:
                    continue
            yield Row(reader.line_num, row[column] if column < len(row) else "")
    except csv.Error as error:
        raise UsageError(f"{file}: line {reader.line_num} is no CSV: {error}") from error


def _json_rows(file: Path) -> Iterator[Row]:
    if (size := file.stat().st_size) > LARGEST_FILE:
        wanted = f"wanted at most {LARGEST_FILE}: write it as .jsonl, one object or text a line"
        raise UsageError(f"{file} has {size} bytes of JSON, {wanted}")
    text = "\n".join(row.text for row in _lines(file))
    return (Row(number, term) for number, term in enumerate(_json_terms(_parsed(file, text)), 1))


def _json_lines(file: Path) -> Iterator[Row]:
    for row in _lines(file):
        if row.text.strip():
            parsed = _parsed(file, row.text, row.line)
            yield from (Row(row.line, term) for term in _json_terms(parsed))


def _parsed(file: Path, text: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f"{file}: line {line}" if line else str(file)
        raise UsageError(f"{where} is no JSON: {error}") from error


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


def imported(rows: Iterable[Row], refuse: Callable[[Refused], None]) -> Imported:
    """Take what can be a term and tell `refuse` of the rest as it comes; terms of one normal form are one.

    No more is kept than a lexicon's terms and some rows at once, however many there are.
    """
    terms: dict[str, str] = {}
    read = repeated = refused = beyond = 0
    for batch in batched(rows, AT_ONCE):
        read += len(batch)
        stripped = [(row.line, row.text.strip()) for row in batch]
        wanted = [(line, text) for line, text in stripped if text and not text.startswith(COMMENTS)]
        for (line, text), form in zip(wanted, normal_forms([text for _, text in wanted]), strict=True):
            if reason := _fault(text, form):
                refuse(Refused(line, reason))
                refused += 1
            elif form in terms:
                repeated += 1
            elif len(terms) >= MOST_TERMS:
                beyond += 1
            else:
                terms[form] = text
    return Imported(read, tuple(terms.values()), repeated, refused, beyond)


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows in lists of at most `size`."""
    source = iter(rows)
    while batch := list(islice(source, size)):
        yield batch


def _fault(text: str, form: str) -> str | None:
    """Why a text is no term, or None."""
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
