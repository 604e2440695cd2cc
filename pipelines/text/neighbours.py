"""Lines that follow each other, read as one: a lure may be cut over two lines, boxes, sentences or frames.

Of a joined text only certain words count, and only those that lie over the join; no model is asked what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pipelines.text.tiers import LITERAL
from pipelines.text.transcripts import JOIN, TranscriptLine
from pipelines.text.words.hits import Hit
from pipelines.text.words.views import Way

VERSION, DATE = re.compile(r"\d[.-]\d+$"), re.compile(r"\d{2,4}[-/.年]\d{1,2}[-/.月]")  # no halves of a number
REACH = 60  # characters of each of two lines: no term is longer


def joined(lines: Iterable[TranscriptLine]) -> Iterator[TranscriptLine]:
    """Yield each line with the next one of its form, the end of one and the beginning of the other."""
    before: dict[str, TranscriptLine] = {}
    for line in lines:
        if one := before.get(line.form):
            text = f"{one.text[-REACH:]}{JOIN}{line.text[:REACH]}"
            yield replace(one, text=text, end_ms=max(one.end_ms, line.end_ms), words=())
        before[line.form] = line


def texts_of(lines: Sequence[TranscriptLine]) -> list[str]:
    """What is read of a video's lines: each, and each two neighbours."""
    return [line.text for line in (*lines, *joined(lines))]


def is_joined(text: str) -> bool:
    """Whether a text is two lines."""
    return JOIN in text


def over_the_join(text: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits that count: all of a line; of two lines those that are certain, lie over the join and are no sound."""
    at = text.find(JOIN)
    if at < 0:
        return list(hits)
    over = [hit for hit in hits if hit.certain and hit.how is not Way.SOUND and hit.start < at < hit.end - 1]
    apart = bool(VERSION.search(text[:at]) or DATE.match(text[at + 1 :]))
    return [hit for hit in over if not (apart and hit.label in LITERAL)]
