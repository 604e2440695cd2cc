"""One video of the report, as judging left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.clusters.members import Membership
from pipelines.copyright.claimed import Claimed
from pipelines.risk.signals import Signal
from pipelines.text.transcripts import TranscriptLine


@dataclass(frozen=True)
class ReportVideo:
    """One video of the report."""

    verdict: Mapping[str, Any]  # a row of VERDICTS; decided_at is a datetime
    title: str
    signals: Sequence[Signal]
    pictures: Mapping[int, bytes]  # frame_ms -> WebP
    poster: bytes | None  # WebP
    claims: Sequence[Claimed] = ()
    strip: Mapping[int, bytes] = field(default_factory=dict)  # frame_ms -> WebP, near the middles of its claims
    lines: Sequence[TranscriptLine] = ()  # said and shown
    cluster: Membership | None = None
