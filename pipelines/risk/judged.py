"""Judge some uploads: what was seen of each, and a policy, to one verdict a row. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.clusters.members import Membership
from pipelines.copyright.claimed import Claimed, with_cue
from pipelines.pieces import Pieces
from pipelines.risk.policy import Policy
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import Finding, by_time, findings, priority, suggestion, top_labels
from pipelines.rows import SIGNAL, ErrorCode
from pipelines.speech.voices import Vectors, voices_of
from pipelines.text.readings import Readings
from pipelines.text.told import Others, Video, tell
from pipelines.text.transcripts import TranscriptLine, account_of, spoken_and_shown, written

DECISION = ("content_sha256", "bundle", "policy", "error_code", "suggestion")  # another one of these, another date
OF_A_CONTENT = ["content_sha256", "error_code", "error_message"]
SIGNAL_NAMES = [field.name for field in SIGNAL]
Whose = Mapping[str, Mapping[str, Any]]  # video_id -> OF_A_CONTENT
Decision = tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """One video of the report: its verdict, its title and its signals."""

    verdict: dict[str, Any]
    title: str
    signals: list[Signal]
    claims: list[Claimed] = field(default_factory=list)
    lines: tuple[TranscriptLine, ...] = ()  # said and shown
    cluster: Membership | None = None


@dataclass(frozen=True)
class Words:
    """What is known of a night's texts, while it is judged."""

    readings: Readings
    others: Others


@dataclass(frozen=True)
class Known:
    """All that judging goes by, whichever the rows."""

    pieces: Pieces
    bundle: str
    policy: Policy
    claims: Mapping[str, list[Claimed]] = field(default_factory=dict)  # by content
    words: Words | None = None  # None: texts were not read
    decided: Mapping[str, tuple[Decision, datetime]] = field(default_factory=dict)  # earlier, by video_id
    clusters: Mapping[str, Membership] = field(default_factory=dict)  # by video_id


def judge_rows(rows: list[dict[str, Any]], whose: Whose, known: Known) -> list[Judged]:
    """Judge manifest rows, in their order; a row whose content nobody finished was not examined."""
    contents = {whose[row["video_id"]]["content_sha256"] for row in rows if row["video_id"] in whose}
    seen = contents & known.pieces.contents.keys()
    signals, lines = _signals_by_content(known.pieces, seen), spoken_and_shown(known.pieces, seen)
    voices = voices_of(known.pieces, lines) if known.words else {}
    now = datetime.now(UTC)
    judged = []
    for row in rows:
        how = _how_seen(row["video_id"], whose, known.pieces)
        content = how["content_sha256"] or ""
        own, spoken = signals.get(content, []), lines.get(content, [])
        every = [*spoken, *written(row, how["duration_ms"] or 0)]
        own = own + _told(every, row, own, voices.get(content), known.words)
        cluster = known.clusters.get(row["video_id"])
        if repost := cluster and cluster.signal(how["duration_ms"] or 0):
            own = [*own, repost]
        post = f"{row['title'] or ''}\n{row['description'] or ''}"
        copies = [with_cue(one, post) for one in known.claims.get(content, ())]
        found = _findings(own, copies, known.policy, how["duration_ms"] or 0)
        verdict = _verdict(row, how, found, known.bundle, known.policy.id)
        verdict |= {"cluster_id": cluster and cluster.cluster_id, "cluster_size": cluster and cluster.size}
        key, then = known.decided.get(row["video_id"], ((), now))
        verdict["decided_at"] = then if key == decision(verdict) else now
        matched = [one.signal() for one in copies if not one.licensed]
        judged.append(Judged(verdict, row["title"] or "", own + matched, copies, tuple(spoken), cluster))
    return judged


def decision(row: Mapping[str, Any]) -> Decision:
    """What a decision keeps its date for: what it is about, and what it says."""
    return tuple(str(row.get(name)) for name in DECISION)


def _told(
    lines: list[TranscriptLine], row: dict[str, Any], seen: list[Signal], voice: Vectors | None, words: Words | None
) -> list[Signal]:
    """The signals that what a video says, shows and is called comes to."""
    if words is None:
        return []
    video = Video(seen, account_of(row), row.get("account_risk"), row.get("prior_violations"), voice)
    return tell(lines, words.readings, video, words.others)


def _findings(signals: list[Signal], claims: list[Claimed], policy: Policy, duration_ms: int) -> list[Finding]:
    """What the policy says of scores over time, and of claims, which are spans already."""
    own = [found for one in claims if (found := one.finding(policy, duration_ms))]
    return sorted([*findings(signals, policy, duration_ms), *own], key=by_time)


def _how_seen(video_id: str, whose: Whose, pieces: Pieces) -> dict[str, Any]:
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
