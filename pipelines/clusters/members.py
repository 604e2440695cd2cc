"""`clusters.parquet` as judging and the report read it: the cluster of each upload, and whose came first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.places import Place, exists, read_table
from pipelines.risk.signals import Signal

SOURCE = "clusters@1"  # as signals name it
LABEL = "Copyright/Reupload"
NAME = "clusters.parquet"
CLUSTERS = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("video_id", pa.string()),
        ("content_sha256", pa.string()),
        ("night", pa.string()),  # name of the folder of the night that it was uploaded in
        ("uri", pa.string()),
        ("uploader_id", pa.string()),
        ("uploaded_at", pa.string()),  # as the manifest said it
        ("role", pa.string()),  # "medoid" or "member"
        ("form", pa.string()),  # "Image" or "Audio": by what the longest shared stretch was found; null of the medoid
        ("start_ms", pa.int64()),  # that stretch, in the member; null where the bytes are the medoid's
        ("end_ms", pa.int64()),
        ("medoid_start_ms", pa.int64()),  # and in the medoid
        ("medoid_end_ms", pa.int64()),
        ("score", pa.float32()),
        ("verified", pa.string()),  # "exact", "verified", "sound" or "aligned": what it rests on
        ("first", pa.bool_()),  # whether this upload is the one that came first
        ("repost", pa.bool_()),  # whether another uploader's came before
        ("first_video_id", pa.string()),
        ("first_uploader_id", pa.string()),
        ("size", pa.int64()),  # uploads in the cluster
        ("contents", pa.int64()),  # distinct ones
        ("main", pa.bool_()),  # whether this is the cluster that the upload's verdict names: its largest
        ("founded", pa.string()),  # the night that named the cluster
    ]
)


@dataclass(frozen=True)
class Membership:
    """The main cluster of an upload of the night."""

    cluster_id: str
    size: int  # uploads, this one too
    row: Mapping[str, Any]  # of CLUSTERS
    rows: Sequence[Mapping[str, Any]] = ()  # of all its uploads, the first first

    def signal(self, duration_ms: int) -> Signal | None:
        """Say that another uploader's came first; None of the first one, and of an uploader's own repost."""
        if not self.row["repost"]:
            return None
        whole = self.row["start_ms"] is None
        start_ms, end_ms = (0, duration_ms) if whole else (self.row["start_ms"], self.row["end_ms"])
        first = f"{self.row['first_uploader_id']}'s {self.row['first_video_id']} came first"
        basis = f"{self.row['verified']}, cluster {self.cluster_id} of {self.size} uploads"
        return Signal(
            label=LABEL,
            form=self.row["form"] or "Image",
            score=self.row["score"],
            start_ms=start_ms,
            end_ms=max(end_ms, start_ms),
            evidence_ms=(start_ms + end_ms) // 2,
            source=SOURCE,
            detail=f"{first}, {basis}",
        )


def read_memberships(path: Place, night: str) -> dict[str, Membership]:
    """For each upload of the night its main cluster; none where the night was not clustered."""
    if not exists(path):
        return {}
    rows = read_table(path, schema=CLUSTERS).to_pylist()
    return memberships(rows, night)


def memberships(rows: Iterable[Mapping[str, Any]], night: str) -> dict[str, Membership]:
    """The same of rows."""
    clusters: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        clusters.setdefault(row["cluster_id"], []).append(row)
    return {
        row["video_id"]: Membership(name, row["size"], row, own)
        for name, own in clusters.items()
        for row in own
        if row["main"] and row["night"] == night
    }
