"""`clusters.parquet`: one row for each upload in each cluster of a night, and what verdicts say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.clusters.links import Basis, Link
from pipelines.clusters.store import StoredStar
from pipelines.clusters.uploads import Upload, in_order, is_repost
from pipelines.places import Place, exists, read_table

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
    size: int
    row: Mapping[str, Any]  # of CLUSTERS


def rows_of(stars: Sequence[StoredStar], uploads: Mapping[str, Sequence[Upload]]) -> list[dict[str, Any]]:
    """Rows of every cluster, `uploads` by content; the order is that of ids, and in a cluster of upload."""
    size = {star.id: sum(len(uploads[one]) for one in star.contents) for star in stars}
    main: dict[str, str] = {}
    for star in sorted(stars, key=lambda one: (size[one.id], one.id), reverse=True):
        for sha256 in star.contents:
            main.setdefault(sha256, star.id)
    found: list[dict[str, Any]] = []
    for star in sorted(stars, key=lambda one: one.id):
        found += _cluster(star, uploads, size[star.id], main)
    return found


def _cluster(
    star: StoredStar, uploads: Mapping[str, Sequence[Upload]], size: int, main: Mapping[str, str]
) -> Iterable[dict[str, Any]]:
    ordered = in_order(upload for sha256 in star.contents for upload in uploads[sha256])
    first, medoid = ordered[0], in_order(uploads[star.medoid])[0]
    for upload in ordered:
        link = star.members.get(upload.content_sha256)
        yield {
            **vars(upload),
            **_shared(link),
            "cluster_id": star.id,
            "role": "medoid" if upload is medoid else "member",
            "first": upload is first,
            "repost": is_repost(upload, first),
            "first_video_id": first.video_id,
            "first_uploader_id": first.uploader_id,
            "size": size,
            "contents": len(star.contents),
            "main": main[upload.content_sha256] == star.id,
            "founded": star.founded,
        }


def _shared(link: Link | None) -> dict[str, Any]:
    if link is None:
        return {"score": 1.0, "verified": Basis.EXACT.value}
    return {**vars(link.stretches[0]), "score": link.score, "verified": link.basis.value}


def read_memberships(path: Place, night: str) -> dict[str, Membership]:
    """For each upload of the night its main cluster; none where the night was not clustered."""
    if not exists(path):
        return {}
    rows = read_table(path, schema=CLUSTERS).to_pylist()
    return memberships(rows, night)


def memberships(rows: Iterable[Mapping[str, Any]], night: str) -> dict[str, Membership]:
    """The same of rows."""
    own = [row for row in rows if row["main"] and row["night"] == night]
    return {row["video_id"]: Membership(row["cluster_id"], row["size"], row) for row in own}
