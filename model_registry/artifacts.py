"""Artifacts: the table of files that models and the demo need, fetched once and checked against their sha256."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import socket
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from model_registry.errors import NightjarError, UsageError
from model_registry.home import home
from model_registry.sources import FETCHERS, SourceError

log = logging.getLogger(__name__)
TABLE_FILE = Path(__file__).with_name("artifacts.toml")


@dataclass(frozen=True)
class Artifact:
    """One row of the table."""

    name: str
    file: str
    sha256: str
    licence: str
    sources: tuple[dict[str, Any], ...] = field(hash=False)

    def __post_init__(self) -> None:
        """Refuse a row that could not be fetched or verified."""
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ValueError(f"artifact {self.name}: sha256 {self.sha256!r} is not 64 lower-case hex digits")
        if unknown := {source["kind"] for source in self.sources} - set(FETCHERS):
            raise ValueError(f"artifact {self.name}: source kinds {sorted(unknown)}; allowed: {sorted(FETCHERS)}")

    @property
    def cached(self) -> Path:
        """Where the verified copy lies once fetched."""
        return home() / "artifacts" / self.sha256[:16] / self.file


@cache
def table() -> dict[str, Artifact]:
    """Every artifact by name."""
    rows = tomllib.loads(TABLE_FILE.read_text("utf-8"))["artifact"]
    return {row["name"]: Artifact(**{**row, "sources": tuple(row["sources"])}) for row in rows}


def artifact(name: str) -> Artifact:
    """Return one row, or say which there are."""
    if name not in table():
        raise UsageError(f"there is no artifact {name!r}; the table has {', '.join(table())}")
    return table()[name]


def sha256_of(path: Path) -> str:
    """Hash a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def present(wanted: Artifact) -> Path | None:
    """Return the verified local copy without touching the network, or None.

    A file of that name with another content is passed over with a warning.
    """
    return _here(wanted)[0]


def on_this_machine(name: str, pinned: Path) -> Path:
    """Return where a file lies here that the driver found at `pinned`; a worker of another machine has it elsewhere.

    Nothing is fetched: a night on many machines does not begin with each of them downloading models.
    """
    if pinned.exists():
        return pinned
    if name in table() and (path := present(table()[name])):
        return path
    raise NightjarError(f"artifact {name} is not on {socket.gethostname()}; `nightjar models pull` there brings it")


def fetch(wanted: Artifact) -> Path:
    """Return a verified local copy, from the first source that has it; a damaged copy in the cache is replaced.

    Raises NightjarError in one sentence with what every source said.
    """
    path, reasons = _here(wanted)
    if path:
        return path
    try:
        wanted.cached.parent.mkdir(parents=True, exist_ok=True)
        for source in wanted.sources:
            with tempfile.TemporaryDirectory(dir=wanted.cached.parent) as scratch:
                try:
                    return _bring(source, wanted, Path(scratch))
                except SourceError as error:
                    reasons.append(f"{source['kind']}: {error}")
    except OSError as error:
        folder, reason = wanted.cached.parent, error.strerror or error
        raise NightjarError(f"artifact {wanted.name} cannot be written to {folder}: {reason}") from error
    hint = f"put {wanted.file} into a folder and name it in NIGHTJAR_MODELS"
    raise NightjarError(f"artifact {wanted.name} is not here and could not be fetched ({'; '.join(reasons)}); {hint}")


def _here(wanted: Artifact) -> tuple[Path | None, list[str]]:
    """The verified local copy if there is one, and what is wrong with the files passed over."""
    reasons: list[str] = []
    for path in filter(Path.is_file, _places(wanted)):
        try:
            return _verified(path, wanted), reasons
        except SourceError as error:
            log.warning("%s; it is passed over", error)
            reasons.append(str(error))
    return None, reasons


def _places(wanted: Artifact) -> Iterator[Path]:
    """Where a local copy may lie: the cache, this program's own files, the user's folder of models."""
    yield wanted.cached
    for source in wanted.sources:
        if source["kind"] == "shipped":
            yield FETCHERS["shipped"](source, Path())
    if folder := os.environ.get("NIGHTJAR_MODELS"):
        yield Path(folder).expanduser().absolute() / wanted.file


def _bring(source: dict[str, Any], wanted: Artifact, scratch: Path) -> Path:
    """Fetch, verify, and make the file appear under its name only when whole, also when two processes fetch at once.

    It is copied: what uv or a hub brought may be a link into a cache of theirs.
    """
    found = _verified(FETCHERS[source["kind"]](source, scratch), wanted)
    whole = scratch / "whole"
    shutil.copyfile(found, whole)
    return whole.replace(wanted.cached)


def _verified(path: Path, wanted: Artifact) -> Path:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if found != wanted.sha256:
        raise SourceError(f"{path} has sha256 {found}, artifact {wanted.name} wants {wanted.sha256}")
    return path
