"""What a speech model makes up: loops, words in silence, more text than the sound could hold, another language.

Each guard gives its reason, so that what is dropped can be counted. Lines come with the spans of voice activity of
the same sound; times of both count from the same start.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from model_registry.model import Line, Span
from model_registry.models.speech.tokens import COMPRESSION_LIMIT, compression

UNSURE = 0.37  # confidence of a mean log-probability of -1.0 (Radford et al. 2022, section 4.5)
# A phrase said four times in a row is a loop of the decoder, a single letter eight times: people do say "no, no, no".
PHRASE_LOOP = re.compile(r"(\S.{1,79}?)\1{3,}", re.DOTALL)
LETTER_LOOP = re.compile(r"(\S)\1{7,}")
REST_OF_WORD = re.compile(r"(?<=[^\W\u3040-\u30ff\u3400-\u9fff])[^\W\u3040-\u30ff\u3400-\u9fff]+")
# Syllables, and so letters, a second: the fastest languages have about 8 (Coupé et al. 2019), auctioneers twice that.
MOST_LETTERS_A_S = 40
MOST_CHINESE_A_S = 16
SHORTEST_S = 0.5  # timestamps are no finer when it comes to counting letters
# What a person repeats: words that last, hardly faster than the fastest languages are spoken.
SHORTEST_WORD_MS, LASTING = 60, 0.7
MOST_SYLLABLES_A_S = 9
LITTLE_SPEECH = 0.25  # share of a line's time, weighted by the probability that it is speech
SOME_SPEECH = 0.6
SURE = 0.6  # confidence at which a language or a phrase is believed
# Subtitles of films ended with these, and Whisper learnt them: Barański et al., "Investigation of Whisper ASR
# Hallucinations Induced by Non-Speech Audio" (2025), table 2, and their Chinese, Japanese and Korean counterparts.
INVENTED = re.compile(
    r"subtitles? (by|created)|transcri(bed|ption) by|captions? by|amara\.?\s?org"
    r"|thank(s| you)( so much| very much)? for (watching|listening|your attention)|(like and|please) subscribe"
    r"|see you (in the )?next (time|video)|^\W*(thank you|you|bye)(\W+(thank you|you|bye))*\W*$"
    r"|字幕(由|提供|[製制]作|組|组|志[愿願])|(谢谢|謝謝|感[谢謝])(大家)?(观看|觀看|收看|收聽|收听)"
    r"|不吝(点赞|點贊)|(点赞|點贊)\W*(订阅|訂閱)|明鏡與點點|明镜与点点|ご(視聴|清聴)ありがとう|시청해\s?주셔서",
    re.IGNORECASE,
)
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class Reason(StrEnum):
    """Why a line is not believed."""

    LOOP = "goes round in circles"
    TOO_FAST = "more text than the sound could hold"
    SILENCE = "hardly any speech there, and unsure"
    INVENTED = "a phrase that the model makes up, and little speech or unsure"
    FOREIGN = "another language than the rest, and unsure"


@dataclass(frozen=True)
class Guarded:
    """The lines that are believed, some of them shortened, and those that are not."""

    lines: tuple[Line, ...]
    dropped: tuple[tuple[Line, Reason], ...] = ()


def guarded(lines: Sequence[Line], spans: Sequence[Span]) -> Guarded:
    """Hold the lines of one sound to every guard."""
    language = main_language(lines)
    kept, dropped = [], []
    for line in lines:
        line = without_loop(line, spans)
        if reason := doubt(line, speech_share(line, spans), language):
            dropped.append((line, reason))
        else:
            kept.append(line)
    return Guarded(tuple(kept), tuple(dropped))


def doubt(line: Line, speech: float, language: str) -> Reason | None:
    """Return the first reason not to believe a line, or None."""
    if is_loop(line.text):
        return Reason.LOOP
    if is_too_fast(line):
        return Reason.TOO_FAST
    if (speech < LITTLE_SPEECH and line.confidence < SURE) or (speech < SOME_SPEECH and line.confidence < UNSURE):
        return Reason.SILENCE
    if INVENTED.search(line.text) and (speech < SOME_SPEECH or line.confidence < SURE):
        return Reason.INVENTED
    if language and line.language and line.language != language and line.confidence < UNSURE:
        return Reason.FOREIGN
    return None


def without_loop(line: Line, spans: Sequence[Span] = ()) -> Line:
    """Leave the first time of what a model says over and over; what a person repeats, and what follows, stays.

    A person takes time for each word, and voice activity hears it; a model packs its loop into the sound there is.
    """
    at = 0
    while found := min(_loops(line.text, at), default=None, key=lambda loop: loop.start()):
        end = _word_end(line.text, found.end())
        if is_spoken(line, found.start(), end, spans):
            at = end
            continue
        at = _word_end(line.text, found.end(1))
        line = _without(line, at, max(at, _torn_end(line.text, found, at)))
    return line


def _loops(text: str, at: int) -> list[re.Match[str]]:
    found = (LETTER_LOOP.search(text, at), PHRASE_LOOP.search(text, at))
    return [loop for loop in found if loop]


def _word_end(text: str, at: int) -> int:
    """A loop may be found from the middle of a word on, and end in one."""
    rest = REST_OF_WORD.match(text, at)
    return rest.end() if rest else at


def _torn_end(text: str, loop: re.Match[str], first: int) -> int:
    """Where a loop ends with what it began to say once more: `we go, we go, we g`."""
    phrase, end = text[loop.start(1) : loop.end(1)], loop.end()
    begun = 0
    while begun < len(phrase) and text[end : end + begun + 1] == phrase[: begun + 1]:
        begun += 1
    whole = end + begun
    return whole if whole >= len(text) else _word_end(text, max(first, end))


def is_spoken(line: Line, start: int, end: int, spans: Sequence[Span]) -> bool:
    """Whether a person can have said what stands between two characters: word by word, in speech, not too fast."""
    words = [word for word in line.words if word.start < end and start < word.end]
    if not words:
        return False
    lasting = sum(word.end_ms - word.start_ms >= SHORTEST_WORD_MS for word in words)
    stretch = replace(line, start_ms=words[0].start_ms, end_ms=max(word.end_ms for word in words))
    slow_enough = syllables(line.text[start:end]) <= MOST_SYLLABLES_A_S * (stretch.end_ms - stretch.start_ms) / 1000
    return slow_enough and lasting >= LASTING * len(words) and speech_share(stretch, spans) >= SOME_SPEECH


def syllables(text: str) -> float:
    """About how many a text has: a Chinese letter or a digit is one, of other letters three make one."""
    chinese, digits = len(SPACELESS.findall(text)), sum(map(str.isdigit, text))
    return chinese + digits + (sum(map(str.isalnum, text)) - chinese - digits) / 3


def _without(line: Line, start: int, end: int) -> Line:
    """Take out the characters between two places, and their words."""
    head, tail = line.text[:start].rstrip(), line.text[end:]
    between = " " if tail and line.text[end - 1].isspace() else ""
    text, gone = (head + between + tail).rstrip(), end - len(head) - len(between)
    words = tuple(
        word if word.end <= start else replace(word, start=word.start - gone, end=word.end - gone)
        for word in line.words
        if word.end <= start or word.start >= end
    )
    return replace(line, text=text, words=words, end_ms=words[-1].end_ms if words else line.end_ms)


def is_loop(text: str) -> bool:
    """Packed too well to be speech even with what is repeated said once, or no letter at all."""
    once = PHRASE_LOOP.sub(r"\1", LETTER_LOOP.sub(r"\1", text))
    return not any(map(str.isalnum, text)) or compression(once) > COMPRESSION_LIMIT


def is_too_fast(line: Line) -> bool:
    """More letters a second than can be said."""
    seconds = max(SHORTEST_S, (line.end_ms - line.start_ms) / 1000)
    chinese = len(SPACELESS.findall(line.text))
    others = sum(map(str.isalnum, line.text)) - chinese
    return chinese / MOST_CHINESE_A_S + others / MOST_LETTERS_A_S > seconds


def speech_share(line: Line, spans: Sequence[Span]) -> float:
    """How much of a line's time is speech, each span counted by its probability; 0 to 1."""
    overlaps = ((min(line.end_ms, span.end_ms) - max(line.start_ms, span.start_ms), span.confidence) for span in spans)
    heard = sum(overlap * confidence for overlap, confidence in overlaps if overlap > 0)
    return heard / max(1, line.end_ms - line.start_ms)


def main_language(lines: Sequence[Line]) -> str:
    """The language most of the text is in, counting only lines that are sure; empty where none is."""
    letters: Counter[str] = Counter()
    for line in lines:
        if line.language and line.confidence >= SURE:
            letters[line.language] += len(line.text)
    return letters.most_common(1)[0][0] if letters else ""
