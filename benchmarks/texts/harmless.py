"""Harmless lines by register, from packages and from what is installed; nothing that reads text was fitted on them."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.benign import bodies
from benchmarks.texts.reading import A_VIDEO
from model_registry.artifacts import sha256_of
from model_registry.errors import UsageError
from pipelines.text.transcripts import units

FILE = Path(__file__).with_name("harmless.toml")
MOST = 1500  # lines of a source: blocks of a video's lines that follow each other, evenly taken
LENGTHS = (4, 400)  # characters of a line


@dataclass(frozen=True)
class Source:
    """One row of `harmless.toml`."""

    name: str
    file: str
    sha256: str
    licence: str
    members: str
    within: str = ""
    keys: Sequence[str] = ()
    column: int | None = None

    def lines(self, folder: Path) -> list[str]:
        """Its lines in their order, each once; raises UsageError where the package is absent or another."""
        path = folder / self.file
        if not path.is_file():
            raise UsageError(f"{path} is not there; the source {self.name} is this package, {self.licence}")
        if (found := sha256_of(path)) != self.sha256:
            raise UsageError(f"{path} has the sha256 {found}; the source {self.name} has {self.sha256}")
        data, name = path.read_bytes(), path.name
        if self.within:
            name, data = next(_members(name, data, self.within))
        return spread_out(
            line for member, text in _members(name, data, self.members) for line in self._cut(member, text)
        )

    def _cut(self, name: str, raw: bytes) -> Iterable[str]:
        text = raw.decode("utf-8", "replace")
        if name.endswith(".json"):
            return [line for found in _texts(json.loads(text), self.keys) for line in found.splitlines()]
        lines = text.splitlines()
        return (
            lines
            if self.column is None
            else [row[self.column] for line in lines if len(row := line.split("\t")) > self.column]
        )


def sources() -> list[Source]:
    """Every source that has to be fetched."""
    return [Source(**row) for row in tomllib.loads(FILE.read_text("utf-8"))["source"]]


def harmless(folder: Path | None) -> dict[str, list[str]]:
    """The lines of each source; without a folder those of installed packages alone."""
    found = {name: spread_out(lines) for name, lines in bodies().items()}
    return found | ({each.name: each.lines(folder) for each in sources()} if folder else {})


def spread_out(lines: Iterable[str]) -> list[str]:
    """Distinct lines of a fitting length; of many, blocks of neighbours from all over the source."""
    low, high = LENGTHS
    whole = (" ".join(line.split()).strip("-* ") for line in lines)
    plain = dict.fromkeys(part for line in whole for part in ([line] if len(line) <= high else units(line)))
    kept = [line for line in plain if low <= len(line) <= high]
    blocks = [kept[at : at + A_VIDEO] for at in range(0, len(kept), A_VIDEO)]
    every = -(-len(blocks) // (MOST // A_VIDEO)) or 1
    return [line for block in blocks[::every] for line in block]


def _members(name: str, data: bytes, wanted: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the members of an archive whose names match, in the order of names."""
    regex, source = re.compile(wanted), io.BytesIO(data)
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(source) as archive:
            yield from ((each, archive.read(each)) for each in sorted(archive.namelist()) if regex.search(each))
        return
    with tarfile.open(fileobj=source) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            if regex.search(member.name) and (file := archive.extractfile(member)):
                yield member.name, file.read()


def _texts(data: Any, keys: Sequence[str]) -> Iterator[str]:
    """The texts under some keys, however deep, or every text of lists."""
    if isinstance(data, list):
        for each in data:
            yield from [each] if isinstance(each, str) and not keys else _texts(each, keys)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from [value] if key in keys and isinstance(value, str) else _texts(value, keys)
