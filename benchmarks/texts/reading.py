"""Read lines as a night reads a description: words, surroundings, heads, two neighbours joined, context, policy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from model_registry.bundles import PinnedBundle
from pipelines.risk.policy import Policy, Suggestion, load_policy
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import findings, suggestion
from pipelines.text.neighbours import texts_of
from pipelines.text.night import Machine, reader_of, reading_stage
from pipelines.text.read import Read
from pipelines.text.readings import Reader, Readings
from pipelines.text.told import Others, Video, tell
from pipelines.text.transcripts import WRITTEN, TranscriptLine, written
from pipelines.text.words.lexicon import Lexicons, load_lexicons
from pipelines.text.words.matcher import Matcher

A_VIDEO = 30  # lines
DURATION_MS = 30_000
FLAGGED = 0.5
AT_ONCE = 20_000


@dataclass(frozen=True)
class Night:
    """One reader: its lexicons, its heads and the starting policy. Nothing is known of the accounts."""

    read: Read
    reader: Reader
    readings: Readings
    policy: Policy
    alone: Others = field(default_factory=lambda: Others({}))

    @classmethod
    @contextmanager
    def opened(cls, bundle: PinnedBundle, lexicons: Lexicons | None = None) -> Iterator[Self]:
        """Load the models; what is read is kept in a folder that is removed afterwards."""
        lexicons = lexicons or load_lexicons()
        with tempfile.TemporaryDirectory() as scratch:
            reader = reader_of(bundle, lexicons)
            readings = Readings.made_by(reader, Path(scratch))
            stage = reading_stage(bundle, lexicons, readings, Machine())
            yield cls(stage.reader(Matcher(lexicons)), reader, readings, load_policy("default"))

    def take(self, texts: Sequence[str]) -> None:
        """Read what has not been read yet."""
        fresh = self.readings.unread(texts)
        for start in range(0, len(fresh), AT_ONCE):
            self.readings.write(self.read(fresh[start : start + AT_ONCE]))

    def signals(self, lines: Sequence[TranscriptLine]) -> list[Signal]:
        """What a video with these lines, which were taken, tells."""
        return tell(lines, self.readings, Video((), "somebody"), self.alone)

    def scores(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """The highest score of each label of each text as a whole description, nothing around it."""
        videos = [described(text) for text in texts]
        self.take([text for lines in videos for text in texts_of(lines)])
        return [highest(self.signals(lines)) for lines in videos]

    def reviewed(self, lines: Sequence[str], size: int = A_VIDEO) -> list[bool]:
        """For every `size` lines that follow each other: whether a video described by them is sent to review."""
        videos = [described("\n".join(lines[at : at + size])) for at in range(0, len(lines) - size + 1, size)]
        self.take([text for video in videos for text in texts_of(video)])
        return [self._suggestion(self.signals(video)) is not Suggestion.PASS for video in videos]

    def _suggestion(self, signals: Sequence[Signal]) -> Suggestion:
        return suggestion(findings(signals, self.policy, DURATION_MS), complete=True)


def described(text: str) -> list[TranscriptLine]:
    """The lines of a video with such a description."""
    return written({"description": text}, DURATION_MS)


def alone(text: str) -> list[TranscriptLine]:
    """A text as one line, however long."""
    return [TranscriptLine(WRITTEN, 0, DURATION_MS, text)]


def highest(signals: Sequence[Signal]) -> dict[str, float]:
    """The highest score of each label."""
    found: dict[str, float] = {}
    for signal in signals:
        found[signal.label] = max(found.get(signal.label, 0.0), signal.score)
    return found


def flagged(scores: dict[str, float]) -> bool:
    """Whether anything comes to 0.5 or more."""
    return max(scores.values(), default=0.0) >= FLAGGED
