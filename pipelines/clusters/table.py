"""Rows of `clusters.parquet`: one for each upload in each cluster of a night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.clusters.links import Basis, Link
from pipelines.clusters.members import CLUSTERS
from pipelines.clusters.store import StoredStar
from pipelines.clusters.uploads import Upload, in_order, is_repost


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
            **dict.fromkeys(CLUSTERS.names),
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
