"""Which footage the benchmark may use, and for what: split and role of every file, decided before anything is made."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from model_registry.errors import UsageError

ROLES = Path(__file__).with_name("roles.toml")
KINDS = {"video": "real", "photo_clip": "photo", "game_clip": "game", "audio": "voice"}
SPLITS = ("fit", "report")
# How groups that roles.toml does not name are dealt out, over and over; four groups fill what a benchmark cannot lack.
DEAL = (
    *("report copied", "report filler", "fit copied", "fit filler", "report copied", "report distractor"),
    *("report copied", "fit copied", "report filler", "fit filler", "report copied", "fit distractor"),
    *("report distractor", "report filler"),
)
VOICES = ("report filler", "fit filler")


@dataclass(frozen=True)
class Source:
    """A file of footage; `group` names what it shows, and no group serves two splits."""

    path: Path
    kind: str
    group: str
    seconds: float
    size: tuple[int, int]
    split: str = ""
    role: str = ""
    from_s: float = 0.0


def sources_in(folder: Path, draw: int = 0) -> list[Source]:
    """List the footage below a folder, with split and role; a folder without `manifest.csv` is all real footage.

    The split is the same in every draw; the role of what `roles.toml` does not name is not.
    """
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        return sources_of(sorted(path for path in folder.rglob("*") if path.is_file()), draw)
    return _checked(list(_assigned(folder, list(_listed(manifest)), draw)))


def sources_of(videos: Sequence[Path], draw: int = 0) -> list[Source]:
    """Take every video for real footage and a group of its own; files that are none are passed over."""
    return _checked(list(_dealt(list(_probed(videos)), DEAL, draw)))


def _listed(manifest: Path) -> Iterable[Source]:
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] in KINDS:
                path, size = manifest.parent / row["path"], (int(row["w"] or 0), int(row["h"] or 0))
                yield Source(path, KINDS[row["kind"]], row["source_group"], float(row["duration"]), size)


def _probed(paths: Sequence[Path]) -> Iterable[Source]:
    for path in paths:
        entries = "stream=codec_type,width,height:format=duration"
        command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        facts: dict[str, Any] = json.loads(done.stdout or "{}") if done.returncode == 0 else {}
        for stream in facts.get("streams", ()):
            seconds = float(facts["format"].get("duration", 0))
            if stream["codec_type"] == "video" and seconds > 1:
                yield Source(path, "real", path.stem, seconds, (stream["width"], stream["height"]))
                break


def _assigned(folder: Path, found: Sequence[Source], draw: int) -> Iterable[Source]:
    named: dict[str, dict[str, Any]] = tomllib.loads(ROLES.read_text("utf-8"))["files"]
    unnamed: dict[str, list[Source]] = defaultdict(list)
    for source in found:
        name = source.path.relative_to(folder).as_posix()
        rule = next((rule for pattern, rule in named.items() if fnmatch(name, pattern)), None)
        if rule is None:
            unnamed[source.kind].append(source)
        elif rule["role"] != "unused":
            start = float(rule.get("from_s", 0))
            yield replace(source, split=rule["split"], role=rule["role"], from_s=start, seconds=source.seconds - start)
    for kind, sources in unnamed.items():
        yield from _dealt(sources, VOICES if kind == "voice" else DEAL, draw)


def _dealt(sources: Sequence[Source], deal: Sequence[str], draw: int) -> Iterable[Source]:
    groups = sorted({source.group for source in sources}, key=lambda group: hashlib.sha256(group.encode()).digest())
    role_of = dict(zip(groups, itertools.cycle(deal), strict=False))
    for split in SPLITS:
        own = [group for group in groups if role_of[group].startswith(split)]
        order = np.random.default_rng([draw, len(own)]).permutation(len(own)) if draw else range(len(own))
        role_of |= dict(zip(own, [role_of[own[at]] for at in order], strict=True))
    for source in sources:
        split, role = role_of[source.group].split()
        yield replace(source, split=split, role=role)


def _checked(sources: list[Source]) -> list[Source]:
    for split, role in itertools.product(SPLITS, ("copied", "filler")):
        if not any((s.split, s.role) == (split, role) and s.kind != "voice" for s in sources):
            raise UsageError(
                f"no footage is left for {split} {role}; wanted 4 groups or more, found {len(sources)} files"
            )
    splits: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        splits[source.group].add(source.split)
    if torn := sorted(group for group, names in splits.items() if len(names) > 1):
        raise UsageError(f"groups in both splits: {', '.join(torn)}; roles.toml must give each group one split")
    return sources
