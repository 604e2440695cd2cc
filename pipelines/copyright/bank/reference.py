"""A reference: whose work a fingerprint is, where and when it may be shown, and what the bank makes of it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from model_registry.errors import UsageError

WORLDWIDE = "*"
NO_LICENCES = "none"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TERRITORY = re.compile(r"[A-Z]{2}|\*")


class Kind(StrEnum):
    """What a reference is; a match with a negative one never counts."""

    FILM = "film"
    SHOW = "show"
    MUSIC = "music"
    KNOWN_BAD = "known_bad"
    CREATOR = "creator"  # an upload whose uploader made it
    NEGATIVE = "negative"


class State(StrEnum):
    """Only active references match; the flood guard quarantines, people disable."""

    ACTIVE = "active"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Licence:
    """The platform may show the work in a territory, from one day to another, both included; None leaves an end open.

    A territory is an ISO 3166-1 alpha-2 code, or `*` for all of them. Days are days in UTC.
    """

    territory: str
    start: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        """Refuse what is no territory and a window that ends before it starts."""
        if not _TERRITORY.fullmatch(self.territory):
            raise UsageError(f"territory {self.territory!r} is no ISO 3166-1 alpha-2 code such as US, and not *")
        if self.start and self.until and self.until < self.start:
            raise UsageError(f"licence {self} ends before it starts")

    def covers(self, territory: str, day: date) -> bool:
        """Say whether it holds there on that day; in `*`, which is everywhere at once, only a worldwide one does."""
        in_time = (self.start is None or self.start <= day) and (self.until is None or day <= self.until)
        return in_time and self.territory in (WORLDWIDE, territory)

    def __str__(self) -> str:
        if self.start is None and self.until is None:
            return self.territory
        return f"{self.territory}:{self.start or ''}..{self.until or ''}"


def parse_licences(text: str) -> tuple[Licence, ...]:
    """Read `US:2025-01-01..2026-12-31;JP:2025-01-01..;*`: windows between semicolons, either end may be left open.

    A territory without dates holds always; `none` says that there is no licence. Raises UsageError.
    """
    if text.strip().lower() == NO_LICENCES:
        return ()
    return tuple(_licence(part.strip()) for part in text.split(";") if part.strip())


def _licence(text: str) -> Licence:
    territory, colon, window = text.partition(":")
    start, dots, until = window.partition("..")
    if colon and not dots:
        raise UsageError(f"licence {text!r} has no window, wanted TERRITORY:FROM..UNTIL such as US:2025-01-01..")
    return Licence(territory.strip(), _day(start, text), _day(until, text))


def _day(text: str, licence: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip() if _DATE.fullmatch(text.strip()) else "no date")
    except ValueError as error:
        raise UsageError(f"licence {licence!r} has the day {text.strip()!r}, wanted YYYY-MM-DD") from error


def licences_text(licences: Iterable[Licence]) -> str:
    """Write licences as `parse_licences` reads them."""
    return ";".join(map(str, licences)) or NO_LICENCES


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One work in the bank. The bank itself fills in the times."""

    id: str
    content_sha256: str
    title: str = ""
    owner: str = ""
    kind: Kind = Kind.FILM
    licences: tuple[Licence, ...] = ()
    uri: str = ""
    duration_ms: int = 0
    complete: bool = True  # False: a part of the content could not be read, and cannot be matched
    error_code: str | None = None
    error_message: str | None = None
    state: State = State.ACTIVE
    reason: str | None = None  # why it is in that state
    trusted: bool = False  # the flood guard leaves it alone
    added_at: datetime | None = None
    changed_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an id that could not be typed or would break a terminal."""
        check_id(self.id)

    def licensed(self, territory: str, day: date) -> bool:
        """Say whether the platform may show it there on that day."""
        return any(licence.covers(territory, day) for licence in self.licences)


def check_id(text: str) -> None:
    """Raise UsageError for an id that is blank, has blanks around it, or holds control characters."""
    if not text or text != text.strip() or not text.isprintable():
        raise UsageError(f"reference id {text!r} is blank or has blanks around it or characters that cannot be printed")


@dataclass(frozen=True)
class Stated:
    """What somebody says about a reference; None where nothing is said, and then the bank keeps what it has."""

    id: str | None = None
    title: str | None = None
    owner: str | None = None
    kind: Kind | None = None
    licences: tuple[Licence, ...] | None = None

    def over(self, reference: Reference) -> Reference:
        """Return the reference with what is said here; its id stays."""
        said = {name: value for name, value in vars(self).items() if value is not None and name != "id"}
        return replace(reference, **said)


METADATA = tuple(field.name for field in fields(Stated))
PATHS = ("path", "uri")
# What `bank export` writes may be read back.
COLUMNS = (*PATHS, *METADATA, *(field.name for field in fields(Reference) if field.name not in (*METADATA, "uri")))


def read_metadata(path: Path) -> dict[str, Stated]:
    """Read a CSV of `path` or `uri`, `id`, `title`, `owner`, `kind`, `licences` by absolute path or URI.

    An empty cell says nothing. Relative paths start from the current folder. Raises UsageError that names the file,
    the row and the value.
    """
    stated: dict[str, Stated] = {}
    for number, row in _rows(path):
        where = f"metadata {path}, row {number}"
        uri = _uri(row, where)
        if uri in stated:
            raise UsageError(f"{where}: {uri} stands in an earlier row too")
        stated[uri] = _stated(row, where)
    return stated


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (line, row); strict, so that a quote left open does not swallow the rows after it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, [])
            _check_header(header, path)
            for values in filter(None, lines):
                if len(values) != len(header):
                    found = f"{len(values)} values, the header {len(header)}"
                    raise UsageError(f"metadata {path}, row {lines.line_num} has {found}")
                yield lines.line_num, dict(zip(header, map(str.strip, values), strict=True))
    except OSError as error:
        raise UsageError(f"metadata {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"metadata {path} cannot be read as CSV in UTF-8: {error}") from error


def _check_header(header: Sequence[str], path: Path) -> None:
    if unknown := [name for name in header if name not in COLUMNS]:
        allowed = ", ".join((*PATHS, *METADATA))
        raise UsageError(f"metadata {path} has the column {unknown[0]!r}; allowed: {allowed}")
    if len(set(header)) < len(header) or sum(name in PATHS for name in header) != 1:
        found = ", ".join(header) or "nothing"
        raise UsageError(f"metadata {path} has the columns {found}; wanted one of path, uri and each column once")


def _uri(row: Mapping[str, str], where: str) -> str:
    text = row.get("path") or row.get("uri") or ""
    if not text:
        raise UsageError(f"{where}: the path is empty")
    return text if "://" in text else os.path.abspath(text)


def _stated(row: Mapping[str, str], where: str) -> Stated:
    said = {name: row[name] for name in METADATA if row.get(name)}
    kind = said.get("kind")
    if kind and kind not in set(Kind):
        raise UsageError(f"{where}: kind is {kind!r}; allowed: {', '.join(Kind)}")
    try:
        if "id" in said:
            check_id(said["id"])
        licences = parse_licences(said["licences"]) if "licences" in said else None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return Stated(said.get("id"), said.get("title"), said.get("owner"), Kind(kind) if kind else None, licences)
