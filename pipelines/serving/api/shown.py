"""Answers as callers get them: a verdict in the shape of the nightly job, and 4xx for what nothing could be seen of."""

from __future__ import annotations

import base64
from typing import Any

from pipelines.rows import ErrorCode
from pipelines.serving.contract import Answer, Described, Refused
from pipelines.serving.video_status import VideoStatus

# What a service that asks before it publishes has to be told apart from a damaged tail, which is a verdict.
STATUS = {
    ErrorCode.EMPTY_FILE: 400,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.TOO_LONG: 413,
    ErrorCode.TOO_MANY_PIXELS: 413,
    ErrorCode.UNSUPPORTED: 415,
    ErrorCode.PLAYLIST: 415,
}
UNSEEN = {ErrorCode.DAMAGED, ErrorCode.TRUNCATED, ErrorCode.TIMEOUT, ErrorCode.CRASHED, ErrorCode.NO_VIDEO}


def refuse_unseen(answer: Answer) -> None:
    """Raise Refused where the file is no media, a bomb, or so broken that nothing of it was looked at."""
    code, verdict = answer.verdict["error_code"], answer.verdict
    if code is None:
        return
    known = ErrorCode(code)
    if known in STATUS:
        raise Refused(STATUS[known], code, verdict["error_message"] or code)
    seen = verdict["duration_ms"] or answer.signals or answer.lines  # frames that raised nothing were seen too
    if known in UNSEEN and not seen:
        raise Refused(422, code, verdict["error_message"] or code)


def shown(answer: Answer, *, evidence: bool = False) -> dict[str, Any]:
    """The verdict's columns, and beside them what it rests on."""
    verdict = {name: value for name, value in answer.verdict.items() if name != "uri"}
    said: dict[str, Any] = {**verdict, "signals": list(answer.signals), "transcript": list(answer.lines)}
    said |= {"matches": list(answer.matches)}
    said |= {"took_ms": {step: round(ms, 3) for step, ms in answer.took_ms.items()}}
    if evidence:
        pictures = answer.evidence.items()
        said["evidence"] = {str(ms): base64.b64encode(webp).decode() for ms, webp in pictures}
    return said


def shown_video(status: VideoStatus, *, evidence: bool = False) -> dict[str, Any]:
    """How far a video is; its verdict where there is one."""
    said: dict[str, Any] = {"id": status.video_id, "upload_id": status.upload_id, "status": status.state}
    said |= {"accepted_at": status.accepted_at, "finished_at": status.finished_at}
    if status.webhook:
        said["webhook"] = {"state": status.webhook, "cause": status.webhook_cause}
    if status.error_code:
        said["error"] = {"code": status.error_code, "message": status.error_message}
    if status.answer:
        said["verdict"] = shown(status.answer, evidence=evidence)
    return said


def shown_models(described: Described) -> dict[str, Any]:
    """In the shape of OpenAI's list of models, with what ours are made of."""
    versions = {"bundle": described.bundle, "policy": described.policy, "taxonomy": described.taxonomy}
    versions |= {"lexicons": described.lexicons or "", "bank": described.bank or ""}
    rows = [{"id": f"{one['name']}@{one['version']}", "object": "model", **one} for one in described.models]
    return {"object": "list", "data": rows, **versions}
