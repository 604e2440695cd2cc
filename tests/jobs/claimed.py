"""Claims in small, as judging hands them to the report."""

from __future__ import annotations

from typing import Any

from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.claimed import Claimed
from pipelines.risk.policy import parse_policy

POLICY = parse_policy(
    {
        "name": "test",
        "version": "1",
        "territory": "US",
        "rule": [
            {"label": "Copyright", "abstain": [0.5, 0.9], "min_duration_ms": 3000},
            {"label": "Copyright/Reupload", "abstain": [0.5, 0.9], "action": "block"},
            {"label": "Explicit", "abstain": [0.5, 0.8], "action": "block"},
        ],
    },
    digest="0123456789abcdef",
)


def match(form="Image", score=0.93, start_ms=12_000, end_ms=31_000, ref_start_ms=2_462_000, **more) -> dict[str, Any]:
    """A row of matches: 0:12 to 0:31 is 41:02 to 41:21, unless said otherwise."""
    plain = {
        "content_sha256": "c" * 64,
        "reference_id": "film-7",
        "form": form,
        "score": score,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "ref_start_ms": ref_start_ms,
        "ref_end_ms": ref_start_ms + end_ms - start_ms,
        "speed": 1.0,
        "claim": 0,
        "claim_score": score,
        "verified": "verified" if form == "Image" else None,
        "reason": "97% of the detail agrees" if form == "Image" else None,
        "ref_picture": None,
    }
    return plain | more


def claimed(form="Image", score=0.93, *, title="Some Film", owner="A Studio", kind=Kind.FILM, **more) -> Claimed:
    """One modality of one claim of a film; what is no fact of the film goes into the match."""
    own = {name: more.pop(name) for name in ("licensed", "beside", "cue") if name in more}
    facts = {"licensed": False, "beside": "", **own}
    return Claimed(match(form, score, **more), kind, title, owner, source="bank@3", **facts)


def both(picture=0.93, sound=0.88, together=0.99, **more) -> list[Claimed]:
    """A claim by picture and sound."""
    picture_side = claimed("Image", picture, claim_score=together, beside="sound", **more)
    return [picture_side, claimed("Audio", sound, claim_score=together, beside="picture", **more)]
