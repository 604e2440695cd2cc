"""Artifacts: the table of files that models and the demo need, fetched once and checked against their sha256."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from model_registry.errors import NightjarError, UsageError
from model_registry.home import home
from model_registry.sources import FETCHERS, SourceError

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
    """Return the verified local copy without touching the network, or None."""
    if wanted.cached.is_file():
        return _verified(wanted.cached, wanted)
    for source in wanted.sources:
        if source["kind"] == "shipped":
            return _verified(FETCHERS["shipped"](source, Path()), wanted)
    folder = os.environ.get("NIGHTJAR_MODELS")
    if folder and (Path(folder) / wanted.file).is_file():
        return _verified(Path(folder) / wanted.file, wanted)
    return None


def fetch(wanted: Artifact) -> Path:
    """Return a verified local copy, from the first source that has it.

    Raises NightjarError in one sentence with what every source said.
    """
    if path := present(wanted):
        return path
    reasons = []
    wanted.cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.cached.parent) as scratch:
        for source in wanted.sources:
            try:
                found = FETCHERS[source["kind"]](source, Path(scratch))
                _move_into_place(_verified(found, wanted), wanted.cached)
            except SourceError as error:
                reasons.append(f"{source['kind']}: {error}")
            else:
                return wanted.cached
    hint = f"put {wanted.file} into a folder and name it in NIGHTJAR_MODELS"
    raise NightjarError(f"artifact {wanted.name} is not here and could not be fetched ({'; '.join(reasons)}); {hint}")


def _verified(path: Path, wanted: Artifact) -> Path:
    if (found := sha256_of(path)) != wanted.sha256:
        raise SourceError(f"{path} has sha256 {found}, artifact {wanted.name} wants {wanted.sha256}")
    return path


def _move_into_place(path: Path, target: Path) -> None:
    """Make the file appear under its name only when whole, also when two processes fetch at once."""
    whole = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(path, whole)
    whole.replace(target)
