"""Claims as judging sees them: what was matched, whose it is, whether it is licensed, and what the uploader wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from pipelines.copyright.bank.reference import Kind, parse_licences
from pipelines.copyright.cues import cue
from pipelines.copyright.matched import MATCH, Matched
from pipelines.risk.policy import Policy
from pipelines.risk.segments import OWN_LENGTH
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import Finding

LABELS = {
    Kind.FILM: "Copyright/Film and TV",
    Kind.SHOW: "Copyright/Film and TV",
    Kind.MUSIC: "Copyright/Music",
    Kind.KNOWN_BAD: "Copyright/Reupload",
}
CUE_FLOOR = 0.3  # words make a likely copy likelier, and are no copy themselves
VERIFIED, UNVERIFIED = "verified", "not verified"
MODALITIES = {"Image": "picture", "Audio": "sound"}
VIDEO_MATCHES = pa.schema(
    [
        ("video_id", pa.string()),
        *MATCH,
        ("kind", pa.string()),
        ("title", pa.string()),
        ("owner", pa.string()),
        ("licensed", pa.bool_()),  # where the policy shows videos, on the day of the run
    ]
)


@dataclass(frozen=True)
class Claimed:
    """One modality of one claim, with the reference's facts."""

    row: Mapping[str, Any]  # of night.MATCHES
    kind: Kind
    title: str
    owner: str
    licensed: bool
    beside: str  # the other modality of the claim, if it has one
    source: str  # `bank@version`
    cue: float = 0.0  # of what the uploader wrote

    @property
    def score(self) -> float:
        """The claim's score, raised by what the uploader wrote where there is something to raise."""
        matched = float(self.row["claim_score"])
        return matched if matched < CUE_FLOOR else 1 - (1 - matched) * (1 - self.cue)

    @property
    def in_doubt(self) -> bool:
        """Whether a picture could not be verified and no sound speaks for it: whatever its score, nobody acts on it."""
        return self.row["form"] == "Image" and self.row["verified"] != VERIFIED and not self.beside

    def signal(self) -> Signal:
        """The claim as something seen or heard."""
        start_ms, end_ms = self.row["start_ms"], self.row["end_ms"]
        return Signal(
            label=LABELS[self.kind],
            form=self.row["form"],
            score=self.score,
            start_ms=start_ms,
            end_ms=end_ms,
            evidence_ms=(start_ms + end_ms) // 2,
            source=self.source,
            detail=self.detail(),
        )

    def finding(self, policy: Policy, duration_ms: int) -> Finding | None:
        """What the policy makes of it, or None: no rule, a licence, too short, not sure enough."""
        signal = self.signal()
        rule = policy.rule_for(signal)
        if self.licensed or rule is None or self.score < rule.abstain[0]:
            return None
        if signal.end_ms - signal.start_ms < min(rule.min_duration_ms, OWN_LENGTH * duration_ms):
            return None
        return Finding(
            label=signal.label,
            form=signal.form,
            start_ms=signal.start_ms,
            end_ms=signal.end_ms,
            score=self.score,
            evidence_ms=signal.evidence_ms,
            suggestion=rule.in_doubt if self.in_doubt else rule.suggests(self.score),
            severity=rule.severity,
            text=self.title or None,
            reference_id=self.row["reference_id"],
            ref_start_ms=self.row["ref_start_ms"],
            ref_end_ms=self.row["ref_end_ms"],
        )

    def detail(self) -> str:
        """Why, in a few words."""
        own = f"{MODALITIES[self.row['form']]} {self.row['score']:.2f}"
        parts = [f"{self.kind.value.replace('_', ' ')} {self.row['reference_id']}", own]
        if abs(self.row["speed"] - 1) >= 0.02:
            parts.append(f"{self.row['speed']:.2f} times its speed")
        if self.row["form"] == "Image":
            told = UNVERIFIED if self.row["verified"] != VERIFIED else VERIFIED
            parts.append(f"{told}: {self.row['reason']}" if self.row["reason"] else told)
        if self.beside:
            parts.append(f"{self.beside} agrees")
        if self.cue:
            parts.append(f"the uploader's words {self.cue:.2f}")
        if self.licensed:
            parts.append("licensed")
        return ", ".join(parts)

    def as_match(self, video_id: str) -> dict[str, object]:
        """A row of `matches.parquet`."""
        facts = {"kind": self.kind.value, "title": self.title, "owner": self.owner, "licensed": self.licensed}
        return {"video_id": video_id, **{field.name: self.row[field.name] for field in MATCH}, **facts}


def claimed(matched: Matched, territory: str, day: date) -> dict[str, list[Claimed]]:
    """Join matches with the facts of their references: for each content its claims, surest first."""
    known = {row["reference_id"]: row for row in matched.facts().to_pylist()}
    found: dict[str, list[Claimed]] = {}
    rows = [row for row in matched.table().to_pylist() if row["reference_id"] in known]
    forms: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        forms.setdefault((row["content_sha256"], row["claim"]), []).append(row["form"])
    for row in rows:
        fact = known[row["reference_id"]]
        others = [MODALITIES[form] for form in forms[row["content_sha256"], row["claim"]] if form != row["form"]]
        licensed = any(licence.covers(territory, day) for licence in parse_licences(fact["licences"]))
        kind, beside = Kind(fact["kind"]), " and ".join(others)
        one = Claimed(row, kind, fact["title"], fact["owner"], licensed, beside, matched.source)
        found.setdefault(row["content_sha256"], []).append(one)
    return found


def with_cue(claim: Claimed, written: str) -> Claimed:
    """Join in what the uploader wrote: title and description."""
    return replace(claim, cue=cue(written, claim.title))
