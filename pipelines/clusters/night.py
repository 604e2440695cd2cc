"""The clusters of a night: its uploads against each other and against those of earlier nights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.clusters.compare import Comparer, Look
from pipelines.clusters.contents import Contents, NightUploads
from pipelines.clusters.identity import Earlier, names
from pipelines.clusters.members import CLUSTERS, NAME
from pipelines.clusters.nominate import by_sound, nominate
from pipelines.clusters.pictures import look_at_stills
from pipelines.clusters.stars import group
from pipelines.clusters.store import Covered, Stored, StoredStar
from pipelines.clusters.table import rows_of
from pipelines.clusters.takeup import take_up
from pipelines.clusters.uploads import Upload, in_order
from pipelines.clusters.vector_table import table_of, vectors_of
from pipelines.clusters.windows import Clip, Vectors, clip_of
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.space import Space
from pipelines.copyright.stored import stored_fingerprints
from pipelines.pieces import Pieces
from pipelines.places import exists, read_table, write_table

DESCRIBED = 64  # contents read at once
FILED = 4096  # described contents that are written as one file
SOUND_HOURS = 50  # of all contents whose sounds are compared too; in more, only of those that show nothing
Advance = Callable[[str, int, int], None]  # what is done, how many of how many


@dataclass(frozen=True)
class Clustered:
    """What a run came to."""

    rows: list[dict[str, Any]]  # of CLUSTERS
    contents: int  # that were compared with each other
    new: int  # of them for the first time
    nominated: int  # pairs
    compared: int  # pairs
    stopped: int  # vectors

    @property
    def table(self) -> pa.Table:
        """As `clusters.parquet` has it."""
        return pa.Table.from_pylist(self.rows, CLUSTERS)

    def facts(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "clusters": len({row["cluster_id"] for row in self.rows}),
            "uploads": len({(row["night"], row["video_id"]) for row in self.rows}),
            "reposts": sum(row["repost"] and row["main"] for row in self.rows),
            "contents": self.contents,
            "new_contents": self.new,
            "pairs_nominated": self.nominated,
            "pairs_compared": self.compared,
            "stopped_windows": self.stopped,
        }


MakeLook = Callable[[Contents], Look]


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Clustering:
    """Clusters one night; earlier nights are given newest first, and are left as they are."""

    night: NightUploads
    earlier: Sequence[NightUploads]
    space: Space
    look: MakeLook = look_at_stills
    rebuild: bool = False  # compare everything again; ids stay
    advance: Advance = _silent

    def run(self) -> Clustered:
        """Describe, nominate, compare, group, name, and keep it; `clusters.parquet` is written last."""
        nights = [self.night, *self.earlier]
        before = earlier_clusters(nights)
        vectors = vectors_of([table for one in nights for table in self._described(one)], self.space.dimensions)
        contents = Contents.of(nights, vectors.contents)
        base, covered = ([], None) if self.rebuild else self._base(nights)
        new = ~covered.among(vectors.contents) if covered else np.ones(len(vectors.contents), np.bool_)
        self.advance("comparing", 0, int(new.sum()))
        found = nominate(vectors, new, _stopped_before(vectors, covered.stopped if covered else {}))
        pairs = dict(found.pairs)
        pairs |= dict.fromkeys(self._by_sound(vectors, contents, new), 0.0)
        gone = covered.gone(vectors.contents) if covered else []
        taken = take_up(base, vectors.contents, pairs, gone)
        pairs |= taken.pairs
        stops = _stretches(vectors, found.stopped)
        comparer = Comparer(self.space, partial(self._read, contents), stops, self.look(contents), self.advance)
        stars = group(pairs, taken.stars, comparer)
        same, changed = taken.settle(stars, vectors.contents)
        named = [*same, *self._named(same, changed, before, _by_content(nights))]
        self._keep(named, vectors, found.stopped, base, ~new if covered and not gone else None)
        done = Clustered(
            rows=self._rows(named, nights),
            contents=len(vectors.contents),
            new=int(new.sum()),
            nominated=len(pairs),
            compared=comparer.comparisons,
            stopped=int(found.stopped.sum()),
        )
        write_table(self.night.folder / NAME, done.table)
        return done

    def _stored(self, night: NightUploads) -> Stored:
        return Stored.of(night.pieces.folder, self.space)

    def _described(self, night: NightUploads) -> list[pa.Table]:
        """VECTORS of a night's contents; tonight's are kept."""
        stored = self._stored(night)
        wanted = {one.content_sha256 for one in night.uploads} & night.pieces.contents.keys()
        tables = [_of(table, wanted) for table in stored.vectors()]
        todo = wanted.difference(*(table["content_sha256"].to_pylist() for table in tables))
        clips: dict[str, Clip] = {}
        batches = in_batches(night.pieces, todo)
        for number, batch in enumerate(batches, 1):
            self.advance("describing", min((number - 1) * DESCRIBED, len(todo)), len(todo))
            prints = stored_fingerprints(night.pieces, batch)
            clips |= {sha256: clip_of(one.within(self.space)) for sha256, one in prints.items()}
            if len(clips) >= FILED or number == len(batches):
                vectors = Vectors.of(clips, self.space.dimensions)
                tables.append(table_of(vectors))
                if night is self.night:
                    stored.keep_vectors(vectors)
                clips = {}
        return tables

    def _base(self, nights: Sequence[NightUploads]) -> tuple[list[StoredStar], Covered | None]:
        """What the last run ended with: that of tonight, or else of the newest night that has one."""
        for one in nights:
            if (covered := self._stored(one).covered()) is not None:
                return self._stored(one).stars(), covered
        return [], None

    def _read(self, contents: Contents, wanted: Sequence[int]) -> dict[int, Fingerprint]:
        """Fingerprints by number, within the space."""
        found: dict[int, Fingerprint] = {}
        for pieces, numbers in contents.by_night(wanted):
            prints = stored_fingerprints(pieces, [contents.names[one] for one in numbers])
            found |= {one: prints[contents.names[one]].within(self.space) for one in numbers}
        return found

    def _by_sound(self, vectors: Vectors, contents: Contents, new: NDArray[np.bool_]) -> set[tuple[int, int]]:
        """Pairs that sound nominates: all of few hours, or else those of contents that show nothing."""
        numbers = list(range(len(contents.names)))
        if sum(contents.duration_ms(one) for one in numbers) > SOUND_HOURS * 3_600_000:
            numbers = sorted(set(numbers) - set(vectors.owner.tolist()))
        peaks = []
        for first in range(0, len(numbers), DESCRIBED):
            read = self._read(contents, numbers[first : first + DESCRIBED])
            peaks += [(one, read[one].peaks) for one in sorted(read) if len(read[one].peaks)]
        fresh = [one for one in peaks if new[one[0]]]
        return set(by_sound(fresh, [one for one in peaks if not new[one[0]]])) if fresh else set()

    def _named(
        self,
        same: Sequence[StoredStar],
        changed: Sequence[StoredStar],
        before: Sequence[Earlier],
        uploads: Mapping[str, Sequence[Upload]],
    ) -> list[StoredStar]:
        """Name what changed, and what was uploaded twice and is like nothing else: it has no members."""
        inside = set[str]().union(*(one.contents for one in [*same, *changed]))
        twice = sorted(sha256 for sha256, own in uploads.items() if len(own) > 1 and sha256 not in inside)
        found = [*changed, *(StoredStar("", "", sha256, (0, 0), {}) for sha256 in twice)]

        def founder(group: Set[str]) -> str:
            return in_order(upload for sha256 in group for upload in uploads[sha256])[0].content_sha256

        kept = {one.id for one in same}
        said = names([(one.medoid, one.contents) for one in found], before, founder, self.night.name, kept)
        return [replace(one, id=name.id, founded=name.founded) for one, name in zip(found, said, strict=True)]

    def _keep(
        self,
        named: Sequence[StoredStar],
        vectors: Vectors,
        stopped: NDArray[np.bool_],
        base: Sequence[StoredStar],
        known: NDArray[np.bool_] | None,
    ) -> None:
        first = vectors.first
        places: dict[str, list[int]] = {}
        for row in np.flatnonzero(stopped).tolist():
            owner = int(vectors.owner[row])
            places.setdefault(vectors.contents[owner], []).append(row - int(first[owner]))
        self._stored(self.night).keep_stars(
            [one for one in named if one.members], vectors.contents, places, base, known
        )

    def _rows(self, named: Sequence[StoredStar], nights: Sequence[NightUploads]) -> list[dict[str, Any]]:
        """Rows of the clusters that have an upload of tonight."""
        own = {one.content_sha256 for one in self.night.uploads}
        return rows_of([one for one in named if one.contents & own], _by_content(nights))


def _of(table: pa.Table, wanted: Set[str]) -> pa.Table:
    """Those of some contents; where that is all, the table itself, which lies on disk."""
    keep = pc.is_in(table["content_sha256"], value_set=pa.array(sorted(wanted), pa.string()))
    return table if pc.all(keep).as_py() is not False else table.filter(keep)


def in_batches(pieces: Pieces, contents: Iterable[str]) -> list[list[str]]:
    """Cut contents into batches that read few pieces, and each whole."""
    ordered = sorted(contents, key=lambda sha256: (pieces.contents[sha256].pieces, sha256))
    return [ordered[first : first + DESCRIBED] for first in range(0, len(ordered), DESCRIBED)]


def earlier_clusters(nights: Sequence[NightUploads]) -> list[Earlier]:
    """The clusters that nights have written, newest night first; of one that is in several the union."""
    found: dict[str, Earlier] = {}
    for night in nights:
        if not exists(night.folder / NAME):
            continue
        columns = ["cluster_id", "founded", "content_sha256", "role"]
        for row in read_table(night.folder / NAME, columns).to_pylist():
            one = found.get(row["cluster_id"]) or Earlier(row["cluster_id"], row["founded"], set(), "")
            medoid = one.medoid or (row["content_sha256"] if row["role"] == "medoid" else "")
            found[one.id] = Earlier(one.id, one.founded, {*one.contents, row["content_sha256"]}, medoid)
    return list(found.values())


def _stopped_before(vectors: Vectors, stopped: Mapping[str, Sequence[int]]) -> NDArray[np.bool_]:
    found = np.zeros(len(vectors), np.bool_)
    for name in stopped.keys() & set(vectors.contents) if stopped else ():
        first = vectors.first[bisect_left(vectors.contents, name)]
        found[first + np.array(stopped[name], np.int64)] = True
    return found


def _stretches(vectors: Vectors, stopped: NDArray[np.bool_]) -> dict[int, list[tuple[int, int]]]:
    """The stretches of contents that stopped windows cover."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(stopped).tolist():
        span = int(vectors.clip.start_ms[row]), int(vectors.clip.end_ms[row])
        found.setdefault(int(vectors.owner[row]), []).append(span)
    return found


def _by_content(nights: Iterable[NightUploads]) -> dict[str, list[Upload]]:
    """Uploads by content; one that several nights list, under the same id with the same content, is one upload."""
    found: dict[str, dict[str, Upload]] = {}
    for night in nights:
        for upload in night.uploads:
            found.setdefault(upload.content_sha256, {}).setdefault(upload.video_id, upload)
    return {sha256: list(own.values()) for sha256, own in found.items()}
