"""What a video tells: its lines, what the three tiers say of each, and the signals that come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from model_registry.labels import first_level
from pipelines.pieces import Pieces
from pipelines.risk.signals import Signal
from pipelines.speech.voices import KnownVoices, Vectors, voices_of
from pipelines.text.context import Circumstances, seen_levels, settle_doubt
from pipelines.text.neighbours import joined
from pipelines.text.readings import Readings, key_of
from pipelines.text.tiers import Bands, Reading
from pipelines.text.transcripts import JOIN, SAID, NightLine, TranscriptLine

REGEX = set("\\[](){}|?*+^$")
MOST_MARKS = 5  # words that a detail names


@dataclass(frozen=True)
class Others:
    """What other accounts of a night say: the same words, with the same voice."""

    accounts: Mapping[int, int]  # key of a text in which something was found -> distinct accounts
    voices: KnownVoices = field(default_factory=KnownVoices)

    @classmethod
    def among(cls, lines: Iterable[NightLine], readings: Readings, pieces: Pieces) -> Others:
        """Look through a whole night once."""
        pairs: set[tuple[str, int]] = set()
        spoken: dict[str, set[str]] = {}  # content in which something said was settled -> its accounts
        for account, sha256, line in lines:
            if readings.telling(line.text):
                pairs.add((account, key_of(line.text)))
                if sha256 and line.form == SAID and any(one.settled for one in readings.of(line.text)):
                    spoken.setdefault(sha256, set()).add(account)
        known = KnownVoices.of(voices_of(pieces, spoken), spoken)
        return cls(Counter(key for _, key in pairs), known)

    def echoes(self, text: str) -> int:
        """How many other accounts have this text."""
        return max(0, self.accounts.get(key_of(text), 0) - 1)


@dataclass(frozen=True)
class Video:
    """What tier 3 knows of the video that it judges."""

    seen: Sequence[Signal]  # its other signals
    account: str
    risk: float | None = None
    prior_violations: int | None = None
    voice: Vectors | None = None


def tell(lines: Sequence[TranscriptLine], readings: Readings, video: Video, others: Others) -> list[Signal]:
    """Read a video's lines in the light of everything around them."""
    bands: Bands = readings.reader.thresholds if readings.reader else {}
    read = [(place, line, reading) for place, line in enumerate(lines) for reading in readings.of(line.text)]
    read += _over_two_lines(lines, readings, {reading.label for _, _, reading in read if reading.settled})
    around = Circumstances(
        seen=seen_levels(video.seen),
        account_risk=video.risk,
        prior_violations=video.prior_violations,
        voices=others.voices.others(video.voice, video.account) if read else 0,
    )
    told = _settled_elsewhere([(place, reading) for place, _, reading in read])
    weighed = [
        (line, settle_doubt(reading, replace(_beside(line, around, others), told=told[place]), bands))
        for place, line, reading in read
    ]
    return [_signal(line, reading) for line, reading in weighed if reading]


def _over_two_lines(
    lines: Sequence[TranscriptLine], readings: Readings, known: set[str]
) -> list[tuple[int, TranscriptLine, Reading]]:
    """What two neighbours say together of labels that no line settles alone."""
    pairs = [(pair, reading) for pair in joined(lines) for reading in readings.of(pair.text)]
    fresh = [(pair, reading) for pair, reading in pairs if reading.label not in known]
    return [(-1, replace(pair, text=pair.text.replace(JOIN, " ")), reading) for pair, reading in fresh]


def _settled_elsewhere(read: Sequence[tuple[int, Reading]]) -> dict[int, frozenset[str]]:
    """For each line, the first levels that another line of the video settles: none speaks for itself."""
    places: dict[str, set[int]] = {}
    for place, reading in read:
        if reading.settled:
            places.setdefault(first_level(reading.label), set()).add(place)
    return {place: frozenset(top for top, own in places.items() if own - {place}) for place, _ in read}


def _beside(line: TranscriptLine, around: Circumstances, others: Others) -> Circumstances:
    """The circumstances of one line; a voice says nothing of what is written."""
    voices = around.voices if line.form == SAID else 0
    return replace(around, echoes=others.echoes(line.text), voices=voices)


def _signal(line: TranscriptLine, reading: Reading) -> Signal:
    start_ms, end_ms = _when(line, reading)
    return Signal(
        label=reading.label,
        form=line.form,
        score=reading.score,
        start_ms=start_ms,
        end_ms=end_ms,
        evidence_ms=(start_ms + end_ms) // 2,
        source=reading.source,
        detail=_detail(line, reading),
        text=line.text,
        marks=tuple((mark.start, mark.end) for mark in reading.marks),
    )


def _when(line: TranscriptLine, reading: Reading) -> tuple[int, int]:
    """When the words that counted are heard; the whole line where it is the meaning that counted."""
    times = [line.when(mark.start, mark.end) for mark in reading.marks]
    if not times:
        return line.start_ms, line.end_ms
    return min(start for start, _ in times), max(end for _, end in times)


def _detail(line: TranscriptLine, reading: Reading) -> str:
    """Which tier spoke, of which words, and why."""
    words = [_word(line.text, mark.start, mark.end, mark.term, mark.how) for mark in reading.marks[:MOST_MARKS]]
    carrier = " ".join(part for part in (line.source, line.place) if part)
    parts = [f"tier {reading.tier}", *([carrier] if carrier else []), *dict.fromkeys(words)]
    parts += [reading.why] if reading.why else []
    return "; ".join(parts)


def _word(text: str, start: int, end: int, term: str, how: str) -> str:
    """The words as they stand there, and behind a disguise the term; a regex says nothing to a reader."""
    meant = "" if set(term) & REGEX else f": {term}"
    disguise = f" ({how}{meant})" if how != "plain" else ""
    return f"“{text[start:end]}”{disguise}"
