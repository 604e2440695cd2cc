"""Names, times and reasons as a reviewer reads them; hostile characters become visible ones."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from model_registry.labels import taxonomy
from pipelines.risk.policy import Rule, Suggestion
from pipelines.rows import ErrorCode

HIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}  # controls, lone surrogates, line and paragraph separators
HIDDEN = set("\u200b\u2060\ufeff\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
REASONS: dict[str, str] = {
    ErrorCode.NOT_FOUND: "The file was not there",
    ErrorCode.NOT_A_FILE: "This is not a file",
    ErrorCode.NOT_READABLE: "The file could not be read",
    ErrorCode.FETCH_FAILED: "The file could not be fetched",
    ErrorCode.CHANGED: "The file changed during the run",
    ErrorCode.EMPTY_FILE: "The file is empty",
    ErrorCode.TOO_LARGE: "The file is too large",
    ErrorCode.TOO_LONG: "The video is too long",
    ErrorCode.TOO_MANY_PIXELS: "The picture is too large",
    ErrorCode.UNSUPPORTED: "This kind of file is not supported",
    ErrorCode.PLAYLIST: "A playlist names other files, so it was not opened",
    ErrorCode.NO_VIDEO: "There is no picture to look at",
    ErrorCode.DAMAGED: "The file is damaged",
    ErrorCode.TRUNCATED: "The file breaks off early",
    ErrorCode.TIMEOUT: "The decoder took too long",
    ErrorCode.CRASHED: "The decoder crashed on this file",
    ErrorCode.MODEL_FAILED: "A model failed on a part of this video",
    ErrorCode.MODEL_CRASHED: "A model crashed on a part of this video",
    ErrorCode.MODEL_TIMEOUT: "A model took too long on a part of this video",
    ErrorCode.NOT_EXAMINED: "This video was not looked at",
}


@dataclass(frozen=True)
class LabelName:
    """A label with its sentences, which are empty where this taxonomy does not have it."""

    name: str
    en: str = ""
    zh: str = ""

    @property
    def parent(self) -> str:
        """The first level with its slash, or nothing."""
        top, slash, _ = self.name.rpartition("/")
        return top + slash

    @property
    def leaf(self) -> str:
        """The last level."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Problem:
    """Why a video was not, or not wholly, looked at."""

    code: str
    reason: str
    message: str


@cache
def label_name(name: str) -> LabelName:
    """Look a label up."""
    known = {label.name: label for label in taxonomy().labels}
    found = known.get(name)
    return LabelName(found.name, found.en, found.zh) if found else LabelName(visible(name))


def visible(text: str) -> str:
    """Write control, direction and zero-width characters as escapes, so that two names that differ look different."""
    return "".join(char.encode("unicode_escape").decode() if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    return char in HIDDEN or unicodedata.category(char) in HIDDEN_CATEGORIES


def one_line(text: str) -> str:
    """Fold white space, then make the rest visible: for titles and other prose."""
    return visible(" ".join(text.split()))


def short(text: str, most: int) -> str:
    """Cut a text that is too long for a sentence."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def problem(verdict: Mapping[str, Any]) -> Problem | None:
    """Return what went wrong with a video, if anything did."""
    code = verdict.get("error_code")
    if not code and verdict.get("complete", True):
        return None
    code = str(code or "incomplete")
    reason = REASONS.get(code, "The video was not wholly looked at")
    return Problem(visible(code), reason, _sentence(one_line(verdict.get("error_message") or "")))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


def score_text(score: float) -> str:
    """Write a score with two digits, cut and not rounded, so that one below a threshold never reads like it."""
    return f"{math.floor(score * 100 + 1e-4) / 100:.2f}"


def threshold_text(score: float) -> str:
    """Write a threshold with two digits, or with as many as it has."""
    return f"{score:.2f}" if round(score, 2) == score else f"{score:g}"


def decision(rule: Rule, score: float) -> str:
    """Say what a score leads to under a rule, and why."""
    low, high = map(threshold_text, rule.abstain)
    if score >= rule.abstain[1]:
        return f"{rule.action} from {high} on"
    return f"in doubt between {low} and {high}, so {rule.in_doubt}"


def thresholds(rule: Rule) -> str:
    """Say a whole rule in words."""
    low, high = map(threshold_text, rule.abstain)
    parts = [f"{rule.in_doubt} from {low} (in doubt)", f"{rule.action} from {high}"]
    if rule.in_doubt is rule.action:
        parts = [f"{rule.action} from {low}, no doubt from {high}"]
    if rule.in_doubt is Suggestion.PASS:
        parts = [f"{rule.action} from {high}"]
    if rule.smooth_ms:
        parts.append(f"judged by the mean over {rule.smooth_ms / 1000:g} s")
    if rule.min_duration_ms:
        parts.append(f"for at least {rule.min_duration_ms / 1000:g} s")
    return "; ".join(parts)


def quote(segment: Mapping[str, Any], where: str) -> str:
    """Say what was read or heard, and what it matches, where a segment knows."""
    parts = []
    if text := segment.get("text"):
        parts.append(f"“{one_line(text)}”")
    if reference := segment.get("reference_id"):
        parts.append(f"matches {visible(reference)}{where}")
    return ", ".join(parts)
