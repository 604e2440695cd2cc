"""What a corpus asks of a detector, and what is true."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.copies.corpus import Corpus
from benchmarks.copies.metrics import Match, Pair

COMBINED = "combined"
TIMES = ("start_ms", "end_ms", "ref_start_ms", "ref_end_ms")


@dataclass(frozen=True)
class Asked:
    """One upload of the benchmark; `hard` ones hold no copy and look like a reference."""

    query: str
    edits: tuple[str, ...]
    kind: str
    duration_ms: int
    copied: bool
    hard: bool = False

    @property
    def row(self) -> str:
        """The row of a table it belongs to: its edit, or `combined`."""
        return self.edits[0] if len(self.edits) == 1 else COMBINED


@dataclass(frozen=True)
class Exam:
    """What was asked and what is true; pairs of `neither` count neither way."""

    asked: tuple[Asked, ...]
    truth: tuple[Match, ...]
    neither: frozenset[Pair] = frozenset()

    @property
    def duration_ms(self) -> int:
        """How long all uploads are together."""
        return sum(upload.duration_ms for upload in self.asked)

    @property
    def lengths(self) -> dict[str, int]:
        """The milliseconds of every upload."""
        return {upload.query: upload.duration_ms for upload in self.asked}

    def part(self, wanted: Callable[[Asked], bool]) -> Exam:
        """The uploads for which that holds, and the truth about them."""
        asked = tuple(upload for upload in self.asked if wanted(upload))
        names = {upload.query for upload in asked}
        return replace(self, asked=asked, truth=tuple(match for match in self.truth if match.query in names))

    def of_kind(self, kind: str) -> Exam:
        """The uploads of a kind of footage."""
        return self.part(lambda upload: upload.kind == kind)

    def under(self, edit: str) -> Exam:
        """The uploads under an edit, copies or none."""
        return self.part(lambda upload: upload.row == edit)

    def copies_under(self, edit: str) -> Exam:
        """The copies under an edit, and all uploads that hold none."""
        return self.part(lambda upload: not upload.copied or upload.row == edit)

    def answers(self, matches: Sequence[Match]) -> list[Match]:
        """What was found in these uploads, without what counts neither way."""
        names = {upload.query for upload in self.asked}
        return [match for match in matches if match.query in names and match.pair not in self.neither]


def exam(corpus: Corpus, split: str) -> Exam:
    """Read what a corpus asks of a split."""
    asked = [
        Asked(
            row["query"],
            tuple(row["edits"].split("+")),
            row["kind"],
            int(row["duration_ms"]),
            row["copies"] != "0",
            row["hard"] == "1" or bool(row.get("like")),
        )
        for row in corpus.rows("queries", split)
    ]
    truth = [_true(row) for row in corpus.rows("truth", split)]
    return Exam(tuple(asked), tuple(truth), _neither(corpus, split))


def _true(row: Mapping[str, str]) -> Match:
    start, end, ref_start, ref_end = (float(row[time]) for time in TIMES)
    return Match(row["query"], row["reference"], 1.0, start, end, ref_start, ref_end)


def _neither(corpus: Corpus, split: str) -> frozenset[Pair]:
    path = corpus.root / "neither.csv"
    if not path.exists():
        return frozenset()
    with path.open(encoding="utf-8", newline="") as file:
        return frozenset((row["query"], row["reference"]) for row in csv.DictReader(file) if row["split"] == split)
