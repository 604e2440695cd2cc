"""How far an accepted video is, as its caller may know, and as its webhook tells."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.serving import kept_answer
from pipelines.serving.contract import Answer


@dataclass(frozen=True)
class VideoStatus:
    """What the caller of `GET /v1/videos/{id}` may know."""

    video_id: str  # ours, unguessable
    upload_id: str  # the caller's
    state: str  # queued, running, done or failed
    accepted_at: datetime
    finished_at: datetime | None = None
    answer: Answer | None = None  # of one that is done
    error_code: str | None = None  # of one that failed: no verdict will come
    error_message: str | None = None
    webhook: str | None = None  # None where there is none; else held, waiting, delivered, stopped (410) or given_up
    webhook_cause: str | None = None  # why the last attempt failed

    @classmethod
    def of(cls, row: sqlite3.Row) -> VideoStatus:
        """Read what the ledger found."""
        return cls(
            video_id=row["id"],
            upload_id=row["upload_id"],
            state=row["state"],
            accepted_at=_moment(row["accepted_at"]),
            finished_at=None if row["finished_at"] is None else _moment(row["finished_at"]),
            answer=kept_answer.read(row["answer"]) if row["answer"] else None,
            error_code=row["error_code"],
            error_message=row["error_message"],
            webhook=row["sent"],
            webhook_cause=row["cause"],
        )


def plainly(status: VideoStatus) -> dict[str, Any]:
    """Lay a video that ended out as JSON has it; without pictures, which a caller asks for."""
    said: dict[str, Any] = {"id": status.video_id, "upload_id": status.upload_id, "status": status.state}
    said |= {"accepted_at": status.accepted_at, "finished_at": status.finished_at}
    if status.error_code:
        said["error"] = {"code": status.error_code, "message": status.error_message}
    if answer := status.answer:
        lists = {"signals": answer.signals, "transcript": answer.lines, "matches": answer.matches}
        said |= {"verdict": dict(answer.verdict), **{name: list(rows) for name, rows in lists.items()}}
    return said


def message(status: VideoStatus, data: Mapping[str, Any]) -> bytes:
    """Return the body of a webhook: type, time and data, as Standard Webhooks recommends."""
    said = {"type": f"video.{status.state}", "timestamp": status.finished_at, "data": data}
    return json.dumps(said, ensure_ascii=False, default=kept_answer.plain).encode()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
