"""Find the reposts of a night: among its own uploads and against the nights before it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs import progress
from jobs.arguments import NIGHTS
from jobs.judge import read_summary
from model_registry.errors import UsageError
from pipelines.clusters.contents import NightUploads
from pipelines.clusters.night import Clustered, Clustering
from pipelines.clusters.store import Stored
from pipelines.clusters.uploads import Upload
from pipelines.copyright.picture.space import Space, shipped_space
from pipelines.pieces import Pieces
from pipelines.places import Place, exists, listed, read_table

OF_AN_UPLOAD = ["video_id", "uri", "uploader_id", "uploaded_at"]


@dataclass(frozen=True)
class History:
    """Which nights a night is compared with."""

    nights: int = NIGHTS
    folder: Place | None = None  # where they lie; None: beside this one

    def of(self, folder: Place, features: str) -> list[NightUploads]:
        """Return the last nights before one, newest first, as far as their features are of the same kind and kept."""
        beside = (self.folder or folder.parent).absolute()
        found = [path.parent for path in listed(beside, "dt=*/summary.json")]
        before = sorted((path for path in found if path.name < folder.name), key=lambda path: path.name, reverse=True)
        kept = []
        for one in before[: self.nights]:
            night = _earlier(one, features)
            if isinstance(night, str):
                progress.say(f"warning: {one.name} is left out: {night}")
            else:
                kept.append(night)
        return kept


def _earlier(folder: Place, features: str) -> NightUploads | str:
    """A night before, or why it cannot be compared."""
    own = read_summary(folder)["run"]["features"]
    if own != features:
        return f"its features are {own} and tonight's {features}"
    if not exists(folder / "features" / own):
        return "its features are gone"
    return uploads_of(folder, Pieces(folder / "features" / own))


def uploads_of(folder: Place, pieces: Pieces, contents: pa.Table | None = None) -> NightUploads:
    """Return a night's uploads whose content is known; raises UsageError where the night lacks its tables."""
    paths = folder / "manifest.parquet", folder / "features" / "contents.parquet"
    if missing := [str(path) for path in paths if not exists(path)]:
        raise UsageError(f"{folder} lacks {', '.join(missing)}; it cannot be clustered")
    table = read_table(paths[1]) if contents is None else contents
    whose = dict(zip(table["video_id"].to_pylist(), table["content_sha256"].to_pylist(), strict=True))
    rows = read_table(paths[0], columns=OF_AN_UPLOAD).to_pylist()
    known = [row for row in rows if whose.get(row["video_id"])]
    uploads = [Upload(content_sha256=whose[row["video_id"]], night=folder.name, **row) for row in known]
    return NightUploads(folder.name, folder, pieces, uploads)


def space_of(tower: str, bank: Path | None) -> Space:
    """Return the descriptor space to compare in: that of a bank, or the one that ships for the tower."""
    if bank is not None:
        from pipelines.copyright.bank.reader import BankReader

        space: Space | None = BankReader.open(bank).space
    else:
        space = shipped_space(tower)
    if space is None:
        raise UsageError(f"no descriptor space ships for {tower}; name a --bank whose space was fitted for it")
    space.demand(tower)
    return space


class Reporter:
    """Says what a long step is at, now and then."""

    def __init__(self) -> None:
        self.spoke = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say it, if the last word is some seconds old."""
        if time.monotonic() - self.spoke >= progress.LINE_EVERY_S:
            self.spoke = time.monotonic()
            progress.say(f"clusters: {what} {done}" + (f" of {total}" if total else ""))


def cluster(
    night: NightUploads, earlier: Sequence[NightUploads], space: Space, *, rebuild: bool = False
) -> tuple[Clustered, dict[str, Any]]:
    """Find the clusters, write `clusters.parquet`, and return them with what a summary says of them."""
    began = time.monotonic()
    for one in [night, *earlier]:
        stored = Stored.of(one.pieces.folder, space)
        if stored.covered() is None and (others := stored.other_formats()):
            progress.say(
                f"warning: {one.name} has clusters kept as {', '.join(others)} and this version reads "
                f"{stored.folder.name}: its contents are compared again, and ids stay"
            )
    found = Clustering(night, earlier, space, rebuild=rebuild, advance=Reporter()).run()
    facts = found.facts() | {"nights": 1 + len(earlier), "seconds": round(time.monotonic() - began, 3)}
    return found, facts
