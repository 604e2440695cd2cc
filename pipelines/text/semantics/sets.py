"""Public text for fitting: labelled tables and packages full of harmless lines, by sha256, licence and source."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_registry.artifacts import sha256_of
from model_registry.errors import UsageError
from model_registry.labels import first_level
from model_registry.model import ModelSpec
from pipelines.text.semantics.labelled import LabelledLine
from pipelines.text.tiers import LITERAL
from pipelines.text.transcripts import units

FILE = Path(__file__).with_name("sets.toml")
MOST_HARMLESS = 5000  # lines of one package, evenly taken
MOST_EMBEDDED = 500  # harmless lines of a set, and as many of a label, where each has to be embedded
MOST_FALSE = 0.001
LENGTHS = (4, 200)  # characters of a harmless line
WORDS = re.compile(r"[^\W\d_]{2}")
ALIKE = 24  # letters: texts that begin or end alike are one family
NOISE = re.compile(r"@user|&#?\w+;|\brt\b|[\W\d_]+")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class TextSet:
    """One row of `sets.toml`."""

    name: str
    file: str
    sha256: str
    licence: str
    source: str
    language: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most_false: float = MOST_FALSE
    archive: Sequence[str] = ()

    def path(self, folder: Path) -> Path:
        """Its file in a folder, checked; raises UsageError where it is absent or another."""
        path = folder / self.file
        if not path.is_file():
            raise UsageError(f"{path} is not there; the set {self.name} is {self.source}, {self.licence}")
        if (found := sha256_of(path)) != self.sha256:
            raise UsageError(f"{path} has the sha256 {found}; the set {self.name} has {self.sha256}")
        return path


def text_sets() -> list[TextSet]:
    """Every set, labelled ones first."""
    return [TextSet(**row) for row in tomllib.loads(FILE.read_text("utf-8"))["set"]]


def lines_of(wanted: TextSet, folder: Path) -> list[LabelledLine]:
    """Read a set; texts that begin or end alike are one group, so that none stands on both sides of a split."""
    path = wanted.path(folder)
    rows = _archived(path, wanted.archive) if wanted.archive else _table(path)
    texts = {text: label for label, text in rows}
    groups = families(list(texts))
    return [
        LabelledLine(
            f"{wanted.name}-{group}", wanted.language, "Text", tuple(wanted.labels.get(label, ())), text, wanted.name
        )
        for (text, label), group in zip(texts.items(), groups, strict=True)
    ]


def fitting(
    shipped: Sequence[LabelledLine], sets: Sequence[Sequence[LabelledLine]], spec: ModelSpec
) -> list[LabelledLine]:
    """What one model is fitted on: all of every set, or a part where each line has to be embedded.

    Where the model scores a label's first level it is fitted on both; a line that has labels and none that the model
    scores is left out, for it is not harmless.
    """
    most = MOST_EMBEDDED if spec.tower else None
    seen: dict[str, LabelledLine] = {}
    for lines in [shipped, *(_part(lines, spec, most) for lines in sets)]:
        for line in lines:
            scored = _scored(line.labels, spec)
            if spec.tower and not line.source:  # a label that it does not score is a mistake there, and is refused
                scored = scored or line.labels
            if scored or not line.labels:
                seen.setdefault(line.text, replace(line, labels=scored))
    return list(seen.values())


def _part(lines: Sequence[LabelledLine], spec: ModelSpec, most: int | None) -> Sequence[LabelledLine]:
    """Some lines of a set, evenly taken of those harmless and those with a label that the model scores."""
    if most is None:
        return lines
    kinds = ([line for line in lines if not line.labels], [line for line in lines if _scored(line.labels, spec)])
    return [line for kind in kinds for line in kind[:: -(-len(kind) // most) or 1]]


def _scored(labels: Sequence[str], spec: ModelSpec) -> tuple[str, ...]:
    telling = [label for label in labels if label not in LITERAL or label in spec.labels]
    levels = dict.fromkeys(each for label in telling for each in (label, first_level(label)))
    return tuple(label for label in levels if label in spec.labels)


def families(texts: Sequence[str]) -> list[int]:
    """Return a number for each text; those that begin or end with the same letters share it (union-find)."""
    root = list(range(len(texts)))

    def top(at: int) -> int:
        while root[at] != at:
            root[at] = at = root[root[at]]
        return at

    seen: dict[str, int] = {}
    for at, text in enumerate(texts):
        letters = NOISE.sub("", text.lower())
        for key in {"<" + letters[:ALIKE], letters[-ALIKE:] + ">"} if letters else ():
            root[top(at)] = top(seen.setdefault(key, at))
    return [top(at) for at in range(len(texts))]


def _table(path: Path) -> Iterator[tuple[str, str]]:
    """(label, text) of a table with these two columns, separated by a tab."""
    for line in path.read_text("utf-8").splitlines()[1:]:
        label, _, text = line.partition("\t")
        if text.strip():
            yield label, text


def _archived(path: Path, members: Sequence[str]) -> list[tuple[str, str]]:
    """The harmless lines of some members of a package, evenly taken: as a night reads them, with words in them."""
    low, high = LENGTHS
    found = dict.fromkeys(
        unit
        for name, text in _members(path, members)
        for line in _lines(name, text)
        for unit in units(" ".join(line.split()))
        if low <= len(unit) <= high and WORDS.search(unit)
    )
    mixed = sorted(found, key=lambda unit: (zlib.crc32(unit.encode()), unit))
    return [("", unit) for unit in mixed[:MOST_HARMLESS]]


def _members(path: Path, members: Sequence[str]) -> Iterator[tuple[str, str]]:
    wanted = re.compile("|".join(members))
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if wanted.search(name))
            yield from ((name, archive.read(name).decode("utf-8", "replace")) for name in names)
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if wanted.search(member.name) and (file := archive.extractfile(member)):
                yield member.name, file.read().decode("utf-8", "replace")


def _lines(name: str, text: str) -> Iterable[str]:
    """Lines of a text file, sayings of a YAML list, longer strings of a JSON file."""
    if name.endswith(".json"):
        return (found for found in QUOTED.findall(text) if len(found) > LENGTHS[0] and "\\" not in found)
    if name.endswith(".yml"):
        return (line.strip(" -'\"") for line in text.splitlines() if line.lstrip().startswith("- "))
    return text.splitlines()
