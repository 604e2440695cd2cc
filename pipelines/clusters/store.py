"""What a night keeps so that the next one need not compare again: vectors, and the stars with what their members share.

It lies in the night's features, which go with it: FOLDER/<format>-<space>/. Files appear whole and never change. A run
that adds contents adds files: of the contents that it compared, and of the clusters that it made, changed or ended.
`state.json` is written last and names the files that count, so that a run that was killed leaves the state of before;
files that no state names are removed by the next run. What another format has kept is described and compared anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.clusters.star_table import StoredStar, star_table, stars_of
from pipelines.clusters.vector_table import mapped, table_of, write_arrow
from pipelines.clusters.windows import Vectors
from pipelines.copyright.picture.space import Space
from pipelines.pieces import new_piece
from pipelines.places import Place, each, exists, listed, make, read_bytes, remove, write_text

__all__ = ["FORMAT", "Covered", "Stored", "StoredStar"]

FOLDER = "clusters"
FORMAT = 3  # 1 wrote every compared content each time; 2 wrote every star each time, and vectors that had to be copied
STATE = "state.json"
MOST_FILES = 24  # of contents or of clusters, from which on they are written as one
COVERED = pa.schema(
    [
        ("content_sha256", pa.string()),
        ("stopped", pa.list_(pa.int32())),  # places of its vectors that join nobody; null: none
    ]
)


@dataclass(frozen=True)
class Covered:
    """Contents that were compared with each other."""

    contents: pa.ChunkedArray  # hashes, in any order, each once or more
    stopped: Mapping[str, Sequence[int]]  # of some, the places of vectors that join nobody
    files: tuple[str, ...] = ()  # that say so

    def among(self, contents: Sequence[str]) -> NDArray[np.bool_]:
        """Which of some contents were."""
        return np.asarray(pc.is_in(pa.array(contents, pa.string()), value_set=self.contents))

    def gone(self, contents: Sequence[str]) -> list[str]:
        """Those that are not among some contents, each once."""
        here = pc.is_in(self.contents, value_set=pa.array(contents, pa.string()))
        return [] if pc.all(here).as_py() is not False else self.contents.filter(pc.invert(here)).unique().to_pylist()


@dataclass(frozen=True)
class Stored:
    """The files of one night and one descriptor space."""

    folder: Place

    @classmethod
    def of(cls, features: Place, space: Space) -> Stored:
        """Name the folder; there need be none."""
        return cls(features / FOLDER / f"{FORMAT}-{space.id.rpartition('+')[2]}")

    def other_formats(self) -> list[str]:
        """Name what other versions have kept for the same space, which this one does not read."""
        space = self.folder.name.partition("-")[2]
        found = {path.parent.name for path in listed(self.folder.parent, f"*-{space}/*")}
        return sorted(found - {self.folder.name})

    def vectors(self) -> list[pa.Table]:
        """Return the vectors kept so far, tables of VECTORS that lie on disk."""
        return list(each(mapped, listed(self.folder, "vectors-*.arrow")))

    def keep_vectors(self, vectors: Vectors) -> None:
        """Add a file of vectors."""
        make(self.folder)
        write_arrow(self.folder / f"vectors-{new_piece()}.arrow", table_of(vectors))

    def covered(self) -> Covered | None:
        """Return what was compared; None where no run ended."""
        files = self._files("covered")
        if files is None:
            return None
        table = pa.concat_tables([COVERED.empty_table(), *each(mapped, [self.folder / name for name in files])])
        some = table.filter(table["stopped"].is_valid())
        stopped = dict(zip(*(some[name].to_pylist() for name in COVERED.names), strict=True))
        return Covered(table["content_sha256"], stopped, files)

    def stars(self) -> list[StoredStar]:
        """Return the stars that the last run ended with; of a cluster in several files the last counts."""
        found: dict[str, StoredStar | None] = {}
        for table in each(mapped, [self.folder / name for name in self._files("stars") or ()]):
            found |= stars_of(table)
        return [star for star in found.values() if star]

    def keep_stars(
        self,
        stars: Iterable[StoredStar],
        contents: Sequence[str],
        stopped: Mapping[str, Sequence[int]],
        base: Sequence[StoredStar] = (),
        known: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write what a run ended with: the contents that it compared, and then the clusters.

        `known` says which contents the run before compared; None where all have to be written: it had others too, or
        there was none. `base` are the clusters that it ended with, as `stars` returned them: those that are still among
        the others, as the same objects, are not written again.
        """
        make(self.folder)
        before = self.covered()
        kept, rows = _covered_rows(before, contents, stopped, known)
        stars = list(stars)
        state = {"covered": self._with(kept, "covered", rows), "stars": self._star_files(stars, base)}
        write_text(self.folder / STATE, json.dumps(state))
        self._tidy({name for names in state.values() for name in names})

    def _star_files(self, stars: Sequence[StoredStar], base: Sequence[StoredStar]) -> list[str]:
        """Files of clusters: those of before and one of what changed, or one of all."""
        files = self._files("stars") or ()
        same = {id(one) for one in base}
        gone = {one.id for one in base} - {one.id for one in stars}
        if not (files and base) or len(files) >= MOST_FILES:
            return self._with((), "stars", star_table(stars))
        return self._with(files, "stars", star_table([one for one in stars if id(one) not in same], sorted(gone)))

    def _with(self, files: Sequence[str], kind: str, rows: pa.Table) -> list[str]:
        """These files, and one of some rows, if there are any."""
        if not rows.num_rows:
            return [*files]
        name = f"{kind}-{new_piece()}.arrow"
        write_arrow(self.folder / name, rows)
        return [*files, name]

    def _files(self, kind: str) -> tuple[str, ...] | None:
        """The files that count; None where no run ended."""
        path = self.folder / STATE
        return tuple(json.loads(read_bytes(path))[kind]) if exists(path) else None

    def _tidy(self, named: set[str]) -> None:
        for kind in ("covered", "stars"):
            for path in listed(self.folder, f"{kind}-*.arrow"):
                if path.name not in named:
                    remove(path)


def _covered_rows(
    before: Covered | None,
    contents: Sequence[str],
    stopped: Mapping[str, Sequence[int]],
    known: NDArray[np.bool_] | None,
) -> tuple[tuple[str, ...], pa.Table]:
    """Files that stay, and the rows that they lack: a later row of a content counts."""
    names = pa.array(contents, pa.string())
    if before and known is not None and len(before.files) < MOST_FILES:
        fresh = names.filter(pa.array(~known))
        new = set(fresh.to_pylist())
        either = [name for name in before.stopped if name not in stopped] + list(stopped)
        changed = [name for name in either if list(stopped.get(name, ())) != list(before.stopped.get(name, ()))]
        changed = sorted(set(changed) - new)
        names = pa.concat_arrays([fresh, pa.array(changed, pa.string())])
        files = before.files
    else:
        files, changed = (), []
    none = dict.fromkeys(changed, ())
    return files, pa.table([names, [stopped.get(name, none.get(name)) for name in names.to_pylist()]], COVERED)
