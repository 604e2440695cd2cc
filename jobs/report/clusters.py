"""A cluster in the report: one card for its medoid, and every other upload of it a line with link and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.timeline import span
from jobs.report.video import ReportVideo
from jobs.report.words import one_line, visible
from pipelines.clusters.uploads import parse_time
from pipelines.risk.policy import Suggestion

MOST_LINES = 50  # uploads of one cluster that are listed
VERIFIED = {
    "exact": "the same bytes",
    "verified": "pictures compared",
    "sound": "heard",
    "aligned": "frames in the same order, pictures not compared",
}


@dataclass(frozen=True)
class Member:
    """One upload of a cluster in a line."""

    video_id: str
    link: str  # an address that a browser opens, or nothing
    uri: str
    uploader: str
    uploaded: str
    night: str  # another one than that of the report, or nothing
    suggestion: str  # of tonight's uploads
    when: str  # "0:03 to 0:12 is 0:00 to 0:09 of film-7"
    notes: tuple[str, ...]  # "came first", "repost", and of the medoid that all were compared with it

    @property
    def searched(self) -> tuple[str, ...]:
        """What the search box looks into."""
        return self.video_id, self.uploader, self.uri, *self.notes


@dataclass(frozen=True)
class ClusterView:
    """What a card says of its cluster."""

    id: str
    size: int
    first: str
    members: tuple[Member, ...]
    more: int  # that are not listed


@dataclass(frozen=True)
class Fold:
    """The video that has the card, and those of the same cluster that have none of their own."""

    video: ReportVideo
    others: tuple[ReportVideo, ...] = ()

    @property
    def videos(self) -> tuple[ReportVideo, ...]:
        """All of them."""
        return (self.video, *self.others)


def fold(videos: Sequence[ReportVideo]) -> list[Fold]:
    """Fold videos that have the same main cluster, where the most urgent of them stands.

    The card is the medoid's where that is on the page, else the most urgent one's.
    """
    groups: dict[str, list[ReportVideo]] = {}
    for number, video in enumerate(videos):
        name = video.cluster.cluster_id if video.cluster else f"#{number}"
        groups.setdefault(name, []).append(video)
    return [_fold(group) for group in groups.values()]


def _fold(group: Sequence[ReportVideo]) -> Fold:
    head = next((one for one in group if one.cluster and one.cluster.row["role"] == "medoid"), group[0])
    return Fold(head, tuple(one for one in group if one is not head))


def view_of(folded: Fold) -> ClusterView | None:
    """What the card of a fold says of the cluster; None of a video that is alone."""
    cluster = folded.video.cluster
    if cluster is None:
        return None
    said = {one.verdict["video_id"]: str(one.verdict["suggestion"]) for one in folded.videos}
    tonight = cluster.row["night"]
    medoid = next((visible(row["video_id"]) for row in cluster.rows if row["role"] == "medoid"), "the medoid")
    members = [_member(row, tonight, said, medoid) for row in cluster.rows[:MOST_LINES]]
    first = f"{visible(cluster.row['first_video_id'])}"
    if uploader := cluster.row["first_uploader_id"]:
        first += f" by {one_line(uploader)}"
    return ClusterView(cluster.cluster_id, cluster.size, first, tuple(members), len(cluster.rows) - len(members))


def _member(row: Mapping[str, Any], tonight: str, said: Mapping[str, str], medoid: str) -> Member:
    own = row["night"] == tonight
    compared = "all others are compared with it"
    notes = {"came first": row["first"], "repost": row["repost"], compared: row["role"] == "medoid"}
    uri = visible(row["uri"] or "")
    return Member(
        video_id=visible(row["video_id"]),
        link=uri if uri.startswith(("https://", "http://")) else "",
        uri=uri,
        uploader=one_line(row["uploader_id"] or ""),
        uploaded=_time(row["uploaded_at"]),
        night="" if own else one_line(row["night"]),
        suggestion=said.get(row["video_id"], "") if own else "",
        when=_when(row, medoid),
        notes=tuple(note for note, holds in notes.items() if holds),
    )


def _time(said: str | None) -> str:
    """A time as people read it, in UTC, or as the manifest says it where it cannot be read."""
    time = parse_time(said)
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else one_line(said or "")


def _when(row: Mapping[str, Any], medoid: str) -> str:
    if row["start_ms"] is None:
        return "" if row["role"] == "medoid" else VERIFIED["exact"]
    mine, its = span(row["start_ms"], row["end_ms"]), span(row["medoid_start_ms"], row["medoid_end_ms"])
    return f"{mine} is {its} of {medoid} ({VERIFIED[row['verified']]})"


def gravest_first(suggestions: Iterable[str]) -> list[str]:
    """Each suggestion once, the gravest first."""
    return sorted(set(suggestions), key=lambda one: -Suggestion(one).rank)
