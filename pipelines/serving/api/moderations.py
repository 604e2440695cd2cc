"""OpenAI's moderation endpoint, answered by our models: its thirteen categories, and our labels beside them.

The names of categories are those of https://platform.openai.com/docs/guides/moderation.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.serving.api.intake import Fetcher, Files, check_length, fetched, kept, refused
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import FIRST_SCREENING, Answer, Checker, Look, Upload

# Which of our labels, and all below them, speak for a category. Where nothing does, a category is never flagged.
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "harassment": ("Abuse/Insult", "Abuse/Sexual Harassment", "Rude Gestures"),
    "harassment/threatening": ("Abuse/Threat",),
    "hate": ("Abuse/Hate Speech", "Hate Symbols"),
    "hate/threatening": (),
    "illicit": ("Fraud", "Drugs & Tobacco", "Gambling"),
    "illicit/violent": (),
    "self-harm": (),
    "self-harm/intent": (),
    "self-harm/instructions": (),
    "sexual": ("Explicit", "Non-Explicit Nudity of Intimate parts and Kissing", "Abuse/Sexual Harassment"),
    "sexual/minors": (),
    "violence": ("Violence", "Abuse/Threat"),
    "violence/graphic": ("Violence/Graphic Violence", "Visually Disturbing"),
}
MOST_PICTURES = 8  # of one input
TEXT_FORMS = {"Text", "OCR", "Voice"}


@dataclass
class Input:
    """What one result is about."""

    texts: list[str] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)

    def uploads(self) -> list[Upload]:
        """One for all texts, and one a picture; pictures are told nothing."""
        found = [Upload(_name(), path, looks=FIRST_SCREENING | {Look.OCR}) for path in self.pictures]
        text = "\n".join(self.texts)
        return [*found, Upload(_name(), description=text, looks=frozenset({Look.TEXT}))] if text.strip() else found


async def inputs_of(said: Any, files: Files, fetcher: Fetcher | None, settings: Settings) -> list[Input]:
    """Read `input`: a text, a list of texts (a result each), or a list of parts (one result)."""
    inputs = await _inputs_of(said, files, fetcher, settings.most_texts)
    check_length(max(sum(map(len, one.texts)) for one in inputs), settings)
    return inputs


async def _inputs_of(said: Any, files: Files, fetcher: Fetcher | None, most: int) -> list[Input]:
    if isinstance(said, str):
        return [Input([_text(said)])]
    if not isinstance(said, list) or not said:
        raise refused("bad_input", f"input is {_kind(said)}, wanted a text, or a list of texts or of parts")
    if len(said) > most:
        raise refused("too_many_inputs", f"input has {len(said)} entries, allowed are {most}")
    if all(isinstance(one, str) for one in said):
        return [Input([_text(one)]) for one in said]
    found = Input()
    for part in said:
        await _take(part, found, files, fetcher)
    return [found]


async def _take(part: Any, found: Input, files: Files, fetcher: Fetcher | None) -> None:
    if not isinstance(part, dict) or part.get("type") not in ("text", "image_url"):
        raise refused("bad_input", f"a part is {_kind(part)}, wanted an object of the type text or image_url")
    if part["type"] == "text":
        found.texts.append(_text(part.get("text")))
        return
    place = part.get("image_url")
    url = place.get("url") if isinstance(place, dict) else None
    if not isinstance(url, str) or not url:
        raise refused("bad_input", "an image_url has no url")
    if len(found.pictures) >= MOST_PICTURES:
        raise refused("too_many_inputs", f"one input has more than {MOST_PICTURES} pictures")
    if url.startswith("data:"):
        found.pictures.append(await kept(url, files))
    elif fetcher is None:
        raise refused("uri_refused", "this service fetches no URIs; send a data: URI", 403)
    else:
        found.pictures.append(await fetched(url, files, fetcher))


async def moderated(checker: Checker, one: Input, deadline_s: float) -> tuple[dict[str, Any], list[Answer]]:
    """One result; what a text and its pictures come to is the worst of each."""
    uploads = one.uploads()
    if not uploads:
        return result([]), []
    answers = await _all([checker.check(upload, deadline_s) for upload in uploads])
    return result(answers), answers


async def _all(checks: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Every answer; where one is refused the others end too, before their files are removed."""
    tasks = [asyncio.ensure_future(check) for check in checks]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def result(answers: Sequence[Answer]) -> dict[str, Any]:
    """A result in OpenAI's shape, and our own labels under `nightjar`."""
    found = [label for answer in answers for label in answer.verdict["labels"]]
    seen = [signal for answer in answers for signal in answer.signals]
    scores = {name: max((row["score"] for row in _under(seen, own)), default=0.0) for name, own in CATEGORIES.items()}
    forms = {name: sorted({_form(row["form"]) for row in _under(found, own)}) for name, own in CATEGORIES.items()}
    suggestions = [answer.verdict["suggestion"] for answer in answers]
    return {
        "flagged": any(suggestion != "pass" for suggestion in suggestions),
        "categories": {name: bool(forms[name]) for name in CATEGORIES},
        "category_scores": {name: min(1.0, max(0.0, float(score))) for name, score in scores.items()},
        "category_applied_input_types": forms,
        "nightjar": {"labels": [dict(label) for label in found], "suggestions": suggestions},
    }


def _under(rows: Iterable[Mapping[str, Any]], labels: Sequence[str]) -> list[Mapping[str, Any]]:
    return [row for row in rows if any(row["label"] == own or row["label"].startswith(f"{own}/") for own in labels)]


def _form(form: str) -> str:
    return "text" if form in TEXT_FORMS else "image"


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise refused("bad_input", f"a text is {_kind(said)}, wanted a string")
    return said.encode("utf-8", "replace").decode()


def _kind(said: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(said), f"a {type(said).__name__}")


def _name() -> str:
    return f"mod_{secrets.token_hex(8)}"
