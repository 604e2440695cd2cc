"""What an uploader writes that points to somebody else's work: a cue beside a match, never a claim by itself."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

TITLE = 0.5  # the reference's own title stands there
HINT = 0.2  # words that go with films and shows
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
SHORTEST_TITLE = 5  # letters; Chinese characters count twice: "It" and "Up" stand everywhere
HINTS = re.compile(
    r"\b(?:full (?:movie|film|episode)|(?:season|s)\s?\d{1,2}\s?(?:episode|e|ep)\s?\d{1,3}|(?:episode|ep) ?\d{1,3}"
    r"|(?:movie|film|tv|series) (?:clips?|scenes?|recap)|hd ?cam|(?:bd|dvd|web)[ -]?rip|(?:1080|720)p|deleted scene"
    r"|no copyright|not my (?:video|content)|credits? to (?:the )?owner|fair use)\b"
    r"|全集|完整版|正片|第\s?[0-9一二三四五六七八九十百]+\s?[集季]|(?:电影|影视|剧集)(?:解说|剪辑|片段)|侵删|搬运|蓝光|枪版"
)


def cue(written: str, title: str) -> float:
    """How much a title and description speak for a claim on the reference called `title`: 0 to 1."""
    text = normal(written)
    named = TITLE if _telling(title) and _stands_in(normal(title), text) else 0.0
    hinted = HINT if HINTS.search(text) else 0.0
    return 1 - (1 - named) * (1 - hinted)


@cache
def _telling(title: str) -> bool:
    return sum(2 if _CJK.match(char) else 1 for char in normal(title)) >= SHORTEST_TITLE


def _stands_in(title: str, text: str) -> bool:
    """Whole words; Chinese has no spaces between its own."""
    return title in text if _CJK.search(title) else f" {title} " in f" {text} "


def normal(text: str) -> str:
    """One case, one width, punctuation to spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w]+", " ", folded).split())
