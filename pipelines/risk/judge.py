"""Judge a night: stored signals and a policy to one verdict a manifest row. Opens no video and needs no model."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.clusters.members import Membership
from pipelines.copyright.claimed import VIDEO_MATCHES, Claimed, claimed
from pipelines.copyright.matched import Matched
from pipelines.copyright.strips import nearest_pictures
from pipelines.pieces import Pieces
from pipelines.places import Place, each, exists, make, read_table, whole, write_bytes
from pipelines.risk.judged import DECISION, OF_A_CONTENT, Decision, Judged, Known, Words, decision, judge_rows
from pipelines.risk.policy import Policy, Suggestion
from pipelines.risk.verdicts import VERDICTS
from pipelines.rows import SIGNAL
from pipelines.text.readings import Readings
from pipelines.text.told import Others
from pipelines.text.transcripts import SAID, SHOWN, TRANSCRIPTS, lines_of_night, manifest_rows

CHUNK_ROWS = 500  # with 300 signals a video some 300 MB
FAILED = pa.schema(
    [
        *[VERDICTS.field(name) for name in ("video_id", "uri", "content_sha256", "error_code", "error_message")],
        ("attempts", pa.int32()),  # null where nothing could be read
    ]
)
Advance = Callable[[int], object]
VIDEO_SIGNALS = pa.schema([("video_id", pa.string()), *SIGNAL])


@dataclass
class Tally:
    """What a run of judging came to."""

    suggestions: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    incomplete: int = 0
    signals: int = 0
    segments: int = 0
    claims: int = 0
    lines: int = 0  # said or shown
    told: int = 0  # signals that came of what was said, shown or written
    shown: list[Judged] = field(default_factory=list)  # highest priority first

    def count(self, judged: Judged) -> None:
        """Add one video."""
        verdict = judged.verdict
        self.videos += 1
        self.suggestions[verdict["suggestion"]] += 1
        self.incomplete += not verdict["complete"]
        if verdict["error_code"]:
            self.errors[verdict["error_code"]] += 1
        self.signals += len(judged.signals)
        self.segments += len(verdict["segments"])
        self.lines += len(judged.lines)
        self.told += sum(bool(signal.text) for signal in judged.signals)
        self.claims += len({(one.row["reference_id"], one.row["claim"]) for one in judged.claims})


@dataclass(frozen=True)
class Night:
    """What is stored of a night, as far as judging needs it."""

    manifest: Place
    contents: pa.Table  # CONTENTS
    pieces: Pieces
    bundle: str
    matched: Matched | None = None  # with which bank, if any
    day: date = field(default_factory=lambda: datetime.now(UTC).date())  # on which licences have to hold
    readings: Readings | None = None  # of its texts, if anybody read them
    clusters: Mapping[str, Membership] = field(default_factory=dict)  # of its uploads, if anybody looked for them


def judge_night(night: Night, policy: Policy, out: Place, show: int = 300, advance: Advance | None = None) -> Tally:
    """Write the tables and `evidence/` into `out`; each table appears only when whole. `advance` is told of videos."""
    tally = Tally()
    make(out)
    decided = _earlier_decisions(out / "verdicts.parquet")
    known = Known(night.pieces, night.bundle, policy, _claims(night, policy), _words(night), decided, night.clusters)
    whose = {row["video_id"]: row for row in night.contents.select(["video_id", *OF_A_CONTENT]).to_pylist()}
    best: list[tuple[tuple[float, int], int, Judged]] = []
    with (
        _table(out / "verdicts.parquet", VERDICTS) as verdicts,
        _table(out / "signals.parquet", VIDEO_SIGNALS) as seen,
        _table(out / "matches.parquet", VIDEO_MATCHES) as matches,
        _table(out / "transcripts.parquet", TRANSCRIPTS) as transcripts,
        _table(out / "failed.parquet", FAILED) as failed,
    ):
        for rows in manifest_rows(night.manifest, CHUNK_ROWS):
            judged = judge_rows(rows, whose, known)
            verdicts.write_table(pa.Table.from_pylist([video.verdict for video in judged], VERDICTS))
            seen.write_table(pa.Table.from_pylist(list(_signal_rows(judged)), VIDEO_SIGNALS))
            matches.write_table(pa.Table.from_pylist(list(_match_rows(judged)), VIDEO_MATCHES))
            transcripts.write_table(pa.Table.from_pylist(list(_line_rows(judged)), TRANSCRIPTS))
            failed.write_table(pa.Table.from_pylist(list(_failed_rows(judged, night.pieces)), FAILED))
            _save_evidence(judged, night.pieces, out / "evidence")
            if advance:
                advance(len(judged))
            for video in judged:
                tally.count(video)
                heapq.heappush(best, (_rank(video), -tally.videos, video))
                if len(best) > show:
                    heapq.heappop(best)
    tally.shown = [video for _, _, video in sorted(best, key=lambda entry: entry[:2], reverse=True)]
    return tally


def _rank(video: Judged) -> tuple[float, int]:
    return video.verdict["priority"], Suggestion(video.verdict["suggestion"]).rank


def _words(night: Night) -> Words | None:
    """Look through the whole night's texts once for words and voices that many accounts share."""
    if night.readings is None:
        return None
    lines = lines_of_night(night.manifest, night.contents, night.pieces)
    return Words(night.readings, Others.among(lines, night.readings, night.pieces))


def _claims(night: Night, policy: Policy) -> dict[str, list[Claimed]]:
    return claimed(night.matched, policy.territory, night.day) if night.matched else {}


def _signal_rows(judged: list[Judged]) -> Iterator[dict[str, Any]]:
    for video in judged:
        for signal in video.signals:
            yield {"video_id": video.verdict["video_id"], **vars(signal)}


def _match_rows(judged: list[Judged]) -> Iterator[dict[str, Any]]:
    for video in judged:
        for claim in video.claims:
            yield claim.as_match(video.verdict["video_id"])


def _line_rows(judged: list[Judged]) -> Iterator[dict[str, Any]]:
    for video in judged:
        for line in video.lines:
            yield line.as_row(video.verdict["video_id"])


def _failed_rows(judged: list[Judged], pieces: Pieces) -> Iterator[dict[str, Any]]:
    """The dead letters: what could not be examined, or not wholly, and how often that was tried."""
    for verdict in (video.verdict for video in judged if video.verdict["error_code"]):
        content = pieces.contents.get(verdict["content_sha256"] or "")
        yield {**{name: verdict[name] for name in FAILED.names[:-1]}, "attempts": content.attempts if content else None}


def _save_evidence(judged: list[Judged], pieces: Pieces, folder: Place) -> None:
    """Write one picture for each segment, named by content and time, as far as it was kept; of a copy both sides."""
    make(folder)
    files = {folder / f"{name}.webp": webp for name, webp in _references(judged).items()}
    files |= {folder / f"{sha256}-{ms}.webp": webp for (sha256, ms), webp in evidence(judged, pieces).items()}
    for _ in each(lambda path: write_bytes(path, files[path]), list(files)):
        pass


def evidence(judged: Iterable[Judged], pieces: Pieces) -> dict[tuple[str, int], bytes]:
    """The upload's own picture of each segment, by content and time, as far as one was kept."""
    judged = list(judged)
    copied = [key for video in judged for key, _ in _copied(video)]
    found = {key: webp for key, (_, webp) in nearest_pictures(pieces, copied).items()}
    return found | told_pictures(judged, pieces) | _frames(judged, pieces)


def _frames(judged: Iterable[Judged], pieces: Pieces) -> dict[tuple[str, int], bytes]:
    """The very frames that segments name, of those that were kept."""
    wanted = {
        (video.verdict["content_sha256"], segment["evidence_ms"])
        for video in judged
        for segment in video.verdict["segments"]
    }
    pictures = pieces.rows("thumbnails", {sha256 for sha256, _ in wanted} & pieces.contents.keys())
    shown = zip(pictures["content_sha256"].to_pylist(), pictures["frame_ms"].to_pylist(), strict=True)
    kept = pictures.filter(pa.array([key in wanted for key in shown], pa.bool_())).to_pylist()
    return {(row["content_sha256"], row["frame_ms"]): row["webp"] for row in kept}


def _references(judged: Iterable[Judged]) -> dict[str, bytes]:
    """The picture of each matched work, as `-reference`; where two works share a time, the surer one's."""
    pictures = {key: picture for video in judged for key, picture in _copied(video)}
    return {f"{sha256}-{ms}-reference": picture for (sha256, ms), picture in pictures.items() if picture}


def told_pictures(judged: Iterable[Judged], pieces: Pieces) -> dict[tuple[str, int], bytes]:
    """For each thing said or read, its content and the time it is shown at, the film strip's picture closest to it."""
    told = {
        (video.verdict["content_sha256"], segment["evidence_ms"])
        for video in judged
        for segment in video.verdict["segments"]
        if segment["form"] in (SAID, SHOWN)
    }
    return {key: webp for key, (_, webp) in nearest_pictures(pieces, told).items()}


def _copied(video: Judged) -> Iterator[tuple[tuple[str, int], bytes | None]]:
    """Where the segments that came of claims have their evidence, with the reference's picture, the surest last."""
    verdict = video.verdict
    found = {(segment["reference_id"], segment["form"], segment["evidence_ms"]) for segment in verdict["segments"]}
    for claim in sorted(video.claims, key=lambda one: (one.row["ref_picture"] is not None, one.score)):
        signal = claim.signal()
        if (claim.row["reference_id"], signal.form, signal.evidence_ms) in found:
            yield (verdict["content_sha256"], signal.evidence_ms), claim.row["ref_picture"]


@contextmanager
def _table(path: Place, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a table batch by batch; it appears when it is whole."""
    with whole(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


def _earlier_decisions(path: Place) -> dict[str, tuple[Decision, datetime]]:
    """A decision keeps its date as long as what it is about and what it says stay the same."""
    if not exists(path):
        return {}
    try:
        rows = read_table(path, columns=["video_id", *DECISION, "decided_at"]).to_pylist()
    except (OSError, pa.ArrowInvalid):
        return {}  # torn by a disk or a foreign file: it is about to be replaced
    return {row["video_id"]: (decision(row), row["decided_at"]) for row in rows}
