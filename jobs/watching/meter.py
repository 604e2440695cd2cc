"""What the receipts of a run add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass
class Meter:
    """Contents looked at to their end, what was in them, and what went wrong."""

    contents: int = 0
    frames: int = 0
    video_ms: int = 0
    errors: int = 0
    busy_ms: Counter[str] = field(default_factory=Counter)
    errors_by_code: Counter[str] = field(default_factory=Counter)
    _failed: set[str] = field(default_factory=set, repr=False)  # several windows of a content may fail

    def read(self, receipts: pa.Table) -> list[dict[str, Any]]:
        """Add receipts; return those that are the first bad news of their content."""
        bad = []
        for row in receipts.to_pylist():
            self.frames += row["frames"]
            for entry in row["busy"] or ():
                self.busy_ms[entry["stage"]] += entry["ms"]
            if row["last"]:
                self.contents += 1
                self.video_ms += row["duration_ms"] or 0
            if row["error_code"] is not None and row["content_sha256"] not in self._failed:
                self._failed.add(row["content_sha256"])
                self.fail(row["error_code"])
                bad.append(row)
        return bad

    def fail(self, code: str) -> None:
        """Count one error."""
        self.errors += 1
        self.errors_by_code[code] += 1

    def busy_share(self) -> dict[str, float]:
        """Return each stage's share of the time that all were busy, largest first."""
        total = sum(self.busy_ms.values())
        return {stage: round(ms / total, 4) for stage, ms in self.busy_ms.most_common()} if total else {}

    def facts(self) -> dict[str, Any]:
        """As `progress.json` tells them."""
        return {
            "videos": self.contents,
            "hours": round(self.video_ms / 3.6e6, 6),
            "frames": self.frames,
            "errors": dict(self.errors_by_code.most_common()),
            "busy_s": {stage: round(ms / 1000, 3) for stage, ms in self.busy_ms.most_common()},
            "busy_share": self.busy_share(),
        }
