"""Stand-ins of the service's parts that keep the contract of pipelines/serving/contract.py."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

from pipelines.serving.contract import Answer, Described, Upload, no_room


class FakeChecker:
    """Blocks what holds the word `risky`, passes the rest; can be told to be slow or to fail."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.seen: list[tuple[Upload, bytes]] = []
        self.full = False

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Answer in the real shapes."""
        data = upload.path.read_bytes() if upload.path else b""
        self.seen.append((upload, data))
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        text = f"{upload.title}\n{upload.description}"
        risky = b"risky" in data or "risky" in text
        form = "Image" if data else "Text"
        label = {"label": "Violence/Weapons", "form": form, "score": 0.9}
        segment = {**label, "start_ms": 0, "end_ms": 1000, "evidence_ms": 500, "text": None, "reference_id": None}
        segment |= {"ref_start_ms": None, "ref_end_ms": None}
        verdict = {
            "video_id": upload.upload_id,
            "uri": None,
            "content_sha256": hashlib.sha256(data).hexdigest() if data else None,
            "duration_ms": 1000 if data else 0,
            "suggestion": "block" if risky else "pass",
            "labels": [label] if risky else [],
            "segments": [segment] if risky else [],
            "complete": True,
            "error_code": None,
            "error_message": None,
            "priority": 0.9 if risky else 0.0,
            "bundle": "fake@1+0",
            "policy": "fake@1+0",
            "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
            "cluster_id": None,
            "cluster_size": None,
        }
        signal = {**label, "start_ms": 0, "end_ms": 1000, "evidence_ms": 500, "source": "fake@1", "detail": "a fake"}
        return Answer(verdict, signals=[signal] if risky else [], took_ms={"models": 1.0})

    def admit(self) -> None:
        """Say no where it was told that it is full."""
        if self.full:
            raise no_room("the fake")

    def described(self) -> Described:
        """One model that scores weapons."""
        model = {"name": "fake", "version": "1", "labels": ["Violence/Weapons"], "reads": "frame", "writes": "vector"}
        return Described("fake@1+0", "fake@1+0", "1", None, None, ({**model, "calibrated": False, "caveat": ""},))
