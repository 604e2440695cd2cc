"""An answer as text, so that it can be kept and sent, and back."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from pipelines.serving.contract import Answer


def written(answer: Answer) -> str:
    """Return JSON; the pictures in it are base64, the times ISO 8601."""
    said = {
        "verdict": dict(answer.verdict),
        "signals": list(answer.signals),
        "lines": list(answer.lines),
        "matches": list(answer.matches),
        "evidence": {str(ms): base64.b64encode(picture).decode() for ms, picture in answer.evidence.items()},
        "took_ms": dict(answer.took_ms),
    }
    return json.dumps(said, ensure_ascii=False, default=plain, separators=(",", ":"))


def read(text: str) -> Answer:
    """Return what was written."""
    said = json.loads(text)
    decided_at = said["verdict"].get("decided_at")
    if decided_at is not None:
        said["verdict"]["decided_at"] = datetime.fromisoformat(decided_at)
    evidence = {int(ms): base64.b64decode(picture) for ms, picture in said.pop("evidence").items()}
    return Answer(**said, evidence=evidence)


def plain(value: Any) -> Any:
    """What JSON has no word for: a time, and mappings that are no dict."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "items"):
        return dict(value)
    raise TypeError(f"an answer holds a {type(value).__name__}, which JSON cannot")
