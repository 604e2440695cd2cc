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

from pipelines.copyright.claimed import VIDEO_MATCHES, Claimed, claimed, with_cue
from pipelines.copyright.matched import Matched
from pipelines.copyright.strips import nearest_pictures
from pipelines.pieces import Pieces
from pipelines.places import Place, each, exists, make, read_table, whole, write_bytes
from pipelines.risk.policy import Policy, Suggestion
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import VERDICTS, Finding, by_time, findings, priority, suggestion, top_labels
from pipelines.rows import SIGNAL, ErrorCode
from pipelines.speech.voices import Vectors, voices_of
from pipelines.text.readings import Readings
from pipelines.text.told import Others, Video, tell
from pipelines.text.transcripts import (
    SAID,
    SHOWN,
    TRANSCRIPTS,
    TranscriptLine,
    account_of,
    lines_of_night,
    manifest_rows,
    spoken_and_shown,
    written,
)

CHUNK_ROWS = 500  # with 300 signals a video some 300 MB
DECISION = ("content_sha256", "bundle", "policy", "error_code", "suggestion")  # another one of these, another date
OF_A_CONTENT = ["content_sha256", "error_code", "error_message"]
SIGNAL_NAMES = [field.name for field in SIGNAL]
FAILED = pa.schema(
    [
        *[VERDICTS.field(name) for name in ("video_id", "uri", "content_sha256", "error_code", "error_message")],
        ("attempts", pa.int32()),  # null where nothing could be read
    ]
)
Advance = Callable[[int], object]
VIDEO_SIGNALS = pa.schema([("video_id", pa.string()), *SIGNAL])


@dataclass(frozen=True)
class Judged:
    """One video of the report: its verdict, its title and its signals."""

    verdict: dict[str, Any]
    title: str
    signals: list[Signal]
    claims: list[Claimed] = field(default_factory=list)
    lines: tuple[TranscriptLine, ...] = ()  # said and shown


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


@dataclass(frozen=True)
class Words:
    """What is known of a night's texts, while it is judged."""

    readings: Readings
    others: Others


def judge_night(night: Night, policy: Policy, out: Place, show: int = 300, advance: Advance | None = None) -> Tally:
    """Write the tables and `evidence/` into `out`; each table appears only when whole. `advance` is told of videos."""
    tally = Tally()
    make(out)
    claims, words = _claims(night, policy), _words(night)
    decided = _earlier_decisions(out / "verdicts.parquet")
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
            judged = _judge_rows(rows, whose, night, policy, decided, claims, words)
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


def _judge_rows(
    rows: list[dict[str, Any]],
    whose: Mapping[str, dict[str, Any]],
    night: Night,
    policy: Policy,
    decided: Mapping[str, tuple[tuple[str, ...], datetime]],
    claims: Mapping[str, list[Claimed]],
    words: Words | None,
) -> list[Judged]:
    contents = {whose[row["video_id"]]["content_sha256"] for row in rows if row["video_id"] in whose}
    known = contents & night.pieces.contents.keys()
    signals, lines = _signals_by_content(night.pieces, known), spoken_and_shown(night.pieces, known)
    voices = voices_of(night.pieces, lines) if words else {}
    now = datetime.now(UTC)
    judged = []
    for row in rows:
        seen = _how_seen(row["video_id"], whose, night.pieces)
        content = seen["content_sha256"] or ""
        own, spoken = signals.get(content, []), lines.get(content, [])
        every = [*spoken, *written(row, seen["duration_ms"] or 0)]
        own = own + _told(every, row, own, voices.get(content), words)
        post = f"{row['title'] or ''}\n{row['description'] or ''}"
        copies = [with_cue(one, post) for one in claims.get(content, ())]
        found = _findings(own, copies, policy, seen["duration_ms"] or 0)
        verdict = _verdict(row, seen, found, night.bundle, policy.id)
        key, then = decided.get(row["video_id"], ((), now))
        verdict["decided_at"] = then if key == _decision(verdict) else now
        matched = [one.signal() for one in copies if not one.licensed]
        judged.append(Judged(verdict, row["title"] or "", own + matched, copies, tuple(spoken)))
    return judged


def _words(night: Night) -> Words | None:
    """Look through the whole night's texts once for words and voices that many accounts share."""
    if night.readings is None:
        return None
    lines = lines_of_night(night.manifest, night.contents, night.pieces)
    return Words(night.readings, Others.among(lines, night.readings, night.pieces))


def _told(
    lines: list[TranscriptLine], row: dict[str, Any], seen: list[Signal], voice: Vectors | None, words: Words | None
) -> list[Signal]:
    """The signals that what a video says, shows and is called comes to."""
    if words is None:
        return []
    video = Video(seen, account_of(row), row.get("account_risk"), row.get("prior_violations"), voice)
    return tell(lines, words.readings, video, words.others)


def _claims(night: Night, policy: Policy) -> dict[str, list[Claimed]]:
    return claimed(night.matched, policy.territory, night.day) if night.matched else {}


def _findings(signals: list[Signal], claims: list[Claimed], policy: Policy, duration_ms: int) -> list[Finding]:
    """What the policy says of scores over time, and of claims, which are spans already."""
    own = [found for one in claims if (found := one.finding(policy, duration_ms))]
    return sorted([*findings(signals, policy, duration_ms), *own], key=by_time)


def _how_seen(video_id: str, whose: Mapping[str, dict[str, Any]], pieces: Pieces) -> dict[str, Any]:
    """Whose content a row has and how looking at it ended; a content that no piece finished was not examined."""
    row = whose.get(video_id, dict.fromkeys(OF_A_CONTENT))
    seen = {name: row[name] for name in OF_A_CONTENT} | {"duration_ms": None}
    if seen["error_code"]:
        return seen
    if content := pieces.contents.get(row["content_sha256"] or ""):
        ended = {"error_code": content.error_code, "error_message": content.error_message}
        return seen | ended | {"duration_ms": content.duration_ms}
    return seen | {"error_code": ErrorCode.NOT_EXAMINED.value, "error_message": "the run ended before its turn"}


def _verdict(
    row: dict[str, Any], seen: dict[str, Any], found: list[Finding], bundle: str, policy: str
) -> dict[str, Any]:
    complete = seen["error_code"] is None
    return {
        **seen,
        "video_id": row["video_id"],
        "uri": row["uri"],
        "suggestion": suggestion(found, complete=complete).value,
        "labels": top_labels(found),
        "segments": [finding.as_segment() for finding in found],
        "complete": complete,
        "priority": priority(found, row["views"], complete=complete),
        "bundle": bundle,
        "policy": policy,
    }


def _signals_by_content(pieces: Pieces, contents: set[str]) -> dict[str, list[Signal]]:
    found: dict[str, list[Signal]] = {sha256: [] for sha256 in contents}
    table = pieces.rows("signals", contents)
    columns = [table[name].to_pylist() for name in ("content_sha256", *SIGNAL_NAMES)]
    for sha256, *values in zip(*columns, strict=True):
        found[sha256].append(Signal(**dict(zip(SIGNAL_NAMES, values, strict=True))))
    for signals in found.values():
        signals.sort(key=lambda s: (s.start_ms, s.label, s.form, s.source))
    return found


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
    wanted = {
        (video.verdict["content_sha256"], segment["evidence_ms"])
        for video in judged
        for segment in video.verdict["segments"]
    }
    make(folder)
    found = _copies(judged, pieces)
    found |= {f"{sha256}-{ms}": webp for (sha256, ms), webp in told_pictures(judged, pieces).items()}
    pictures = pieces.rows("thumbnails", {sha256 for sha256, _ in wanted} & pieces.contents.keys())
    shown = zip(pictures["content_sha256"].to_pylist(), pictures["frame_ms"].to_pylist(), strict=True)
    for row in pictures.filter(pa.array([key in wanted for key in shown], pa.bool_())).to_pylist():
        found[f"{row['content_sha256']}-{row['frame_ms']}"] = row["webp"]
    files = {folder / f"{name}.webp": webp for name, webp in found.items()}
    for _ in each(lambda path: write_bytes(path, files[path]), list(files)):
        pass


def _copies(judged: list[Judged], pieces: Pieces) -> dict[str, bytes]:
    """The upload's picture and, as `-reference`, the work's; where two works share a time, the surer one's."""
    references = {key: picture for video in judged for key, picture in _copied(video)}
    own = nearest_pictures(pieces, references).items()
    theirs = {f"{sha256}-{ms}-reference": picture for (sha256, ms), picture in references.items() if picture}
    return {f"{sha256}-{ms}": webp for (sha256, ms), (_, webp) in own} | theirs


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


def _earlier_decisions(path: Place) -> dict[str, tuple[tuple[str, ...], datetime]]:
    """A decision keeps its date as long as what it is about and what it says stay the same."""
    if not exists(path):
        return {}
    try:
        rows = read_table(path, columns=["video_id", *DECISION, "decided_at"]).to_pylist()
    except (OSError, pa.ArrowInvalid):
        return {}  # torn by a disk or a foreign file: it is about to be replaced
    return {row["video_id"]: (_decision(row), row["decided_at"]) for row in rows}


def _decision(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in DECISION)
