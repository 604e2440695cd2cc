"""Whisper's tokens to passages with times, and the place from which it wants to listen again.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), sections 2.3 and 4.5: a passage
stands between two timestamps of 20 ms steps; two timestamps at the end say that another passage begins there.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_registry.errors import NightjarError
from model_registry.reading import one_line

STEP_MS = 20
UNFINISHED_MS = 1500  # sound after the last timestamp that is looked at once more
COMPRESSION_LIMIT = 2.4  # section 4.5: text that gzip shrinks further goes round in circles
LOGPROB_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
TOKENS_A_SECOND = 15  # fast speech has 6, Chinese up to 12; a loop has no end
SPARE_TOKENS, MOST_TOKENS = 20, 440  # timestamps; and what fits beside the prompt


@dataclass(frozen=True)
class Passage:
    """Tokens of text between two timestamps, in milliseconds of the sound that was decoded."""

    start_ms: int
    end_ms: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Decoded:
    """What one decoding of one sound brought."""

    tokens: tuple[int, ...]
    logprob: float  # mean of all tokens, end included
    no_speech: float
    language: str

    @property
    def confidence(self) -> float:
        """The mean probability of a token, 0 to 1."""
        return math.exp(min(0.0, self.logprob))

    @property
    def silent(self) -> bool:
        """Section 4.5: likely no speech, and unsure of what was decoded nevertheless."""
        return self.no_speech > NO_SPEECH_LIMIT and self.logprob < LOGPROB_LIMIT


def compression(text: str) -> float:
    """How many times smaller zlib makes a text; 2.4 and more is a text that repeats itself."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def room_for(duration_ms: int) -> int:
    """How many tokens so much sound can hold."""
    return min(MOST_TOKENS, SPARE_TOKENS + TOKENS_A_SECOND * math.ceil(duration_ms / 1000))


def said(decoded: Decoded, first_timestamp: int, duration_ms: int) -> tuple[list[Passage], int | None]:
    """The passages of a decoding, none where it says that nobody speaks."""
    return ([], None) if decoded.silent else passages(decoded.tokens, first_timestamp, duration_ms)


def passages(tokens: Sequence[int], first_timestamp: int, duration_ms: int) -> tuple[list[Passage], int | None]:
    """Cut a decoding at its timestamps; the number is where to go on listening, None where all was heard."""
    marks = [place for place, token in enumerate(tokens) if token >= first_timestamp]
    times = [min((tokens[place] - first_timestamp) * STEP_MS, duration_ms) for place in marks]
    found: list[Passage] = []
    bounds = list(zip([-1, *marks], [0, *times], strict=True))
    ends = [*zip(marks, times, strict=True), (len(tokens), duration_ms)]
    for (begin, start_ms), (end, end_ms) in zip(bounds, ends, strict=True):
        if text := tuple(tokens[begin + 1 : end]):
            found.append(Passage(start_ms, max(start_ms, end_ms), text))
    return found, _resume(found, times, tokens, first_timestamp, duration_ms)


def _resume(
    found: Sequence[Passage], times: Sequence[int], tokens: Sequence[int], first_timestamp: int, duration_ms: int
) -> int | None:
    """Go on after the last passage that has an end, if enough sound comes after it and some was passed already."""
    if not found or not times or tokens[-1] < first_timestamp:
        return None
    left_ms = duration_ms - times[-1]
    return times[-1] if times[-1] > 0 and left_ms >= UNFINISHED_MS else None


def tokenizer_of(path: Path) -> Any:
    """Read a tokenizer.json, or raise NightjarError; the library raises nothing narrower than Exception."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise NightjarError(f"{path} is not a tokenizer: {one_line(error)}") from error
    if tokenizer.token_to_id("<|startoftranscript|>") is None:
        raise NightjarError(f"{path} is not a tokenizer of Whisper: it has no token <|startoftranscript|>")
    return tokenizer
