"""Tables of what each system found: overall, by kind of footage, and by edit; Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

from benchmarks.copies.corpus import Corpus
from benchmarks.copies.metrics import (
    Match,
    Point,
    detection_curve,
    false_per_thousand_hours,
    micro_ap,
    operating_point,
    point_at,
    segment_ap,
)

COMBINED = "combined"
KINDS = ("real", "photo", "game")
Found = Mapping[str, Sequence[Match]]


@dataclass(frozen=True)
class Asked:
    """One upload of the benchmark."""

    query: str
    edits: tuple[str, ...]
    kind: str
    duration_ms: int
    copied: bool

    @property
    def row(self) -> str:
        """The row of a table it belongs to: its edit, or `combined`."""
        return self.edits[0] if len(self.edits) == 1 else COMBINED


@dataclass(frozen=True)
class Exam:
    """What was asked and what is true."""

    asked: tuple[Asked, ...]
    truth: tuple[Match, ...]

    @property
    def duration_ms(self) -> int:
        """How long all uploads are together."""
        return sum(upload.duration_ms for upload in self.asked)

    def part(self, wanted: Callable[[Asked], bool]) -> Exam:
        """The uploads for which that holds, and the truth about them."""
        asked = tuple(upload for upload in self.asked if wanted(upload))
        names = {upload.query for upload in asked}
        return Exam(asked, tuple(match for match in self.truth if match.query in names))

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
        """What was found in these uploads."""
        names = {upload.query for upload in self.asked}
        return [match for match in matches if match.query in names]


def exam(corpus: Corpus, split: str) -> Exam:
    """Read what a corpus asks of a split."""
    asked = [
        Asked(row["query"], tuple(row["edits"].split("+")), row["kind"], int(row["duration_ms"]), row["copies"] != "0")
        for row in corpus.rows("queries", split)
    ]
    times = ("start_ms", "end_ms", "ref_start_ms", "ref_end_ms")
    truth = [
        Match(row["query"], row["reference"], 1.0, *(float(row[time]) for time in times))
        for row in corpus.rows("truth", split)
    ]
    return Exam(tuple(asked), tuple(truth))


@dataclass(frozen=True)
class Marks:
    """How one system did: uAP, segment AP, and where at least 0.9 of what it finds is right."""

    uap: float
    segment_ap: float
    at_p90: Point
    false_at_p90: float


def marks(asked: Exam, matches: Sequence[Match]) -> Marks:
    """Mark what one system found."""
    answers = asked.answers(matches)
    point = operating_point(detection_curve(asked.truth, answers))
    false = false_per_thousand_hours(asked.truth, answers, point.score, asked.duration_ms)
    return Marks(micro_ap(asked.truth, answers), segment_ap(asked.truth, answers), point, false)


def overall(asked: Exam, found: Found, fixed: Mapping[str, float]) -> str:
    """One row a system; `fixed` holds the scores that had precision 0.9 on the split for fitting."""
    head = ("system", "uAP", "segment AP", "recall at P 0.9", "false per 1000 h there")
    held = ("precision at the fitted score", "recall", "false per 1000 h")
    return _table((*head, *held), [_overall_row(asked, name, found[name], fixed.get(name, inf)) for name in found])


def _overall_row(asked: Exam, name: str, matches: Sequence[Match], score: float) -> Sequence[str]:
    own, answers = marks(asked, matches), asked.answers(matches)
    point = point_at(detection_curve(asked.truth, answers), score)
    false = false_per_thousand_hours(asked.truth, answers, score, asked.duration_ms)
    first = _cells(own.uap, own.segment_ap, own.at_p90.recall)
    return name, *first, _count(own.false_at_p90), *_cells(point.precision, point.recall), _count(false)


def by_kind(asked: Exam, found: Found) -> str:
    """Real footage, moving photographs and games apart: copies of that kind among uploads of that kind."""
    rows = []
    for kind in KINDS:
        part = asked.of_kind(kind)
        for name in found if part.truth else ():
            own = marks(part, found[name])
            rows.append((kind, name, *_cells(own.uap, own.segment_ap, own.at_p90.recall), _count(own.false_at_p90)))
    return _table(("kind", "system", "uAP", "segment AP", "recall at P 0.9", "false per 1000 h there"), rows)


def by_edit(asked: Exam, found: Found) -> dict[str, str]:
    """Return four tables, a row an edit and a column a system.

    The APs rank the copies under that edit among all uploads that hold none. Recall and false matches are those at the
    score where the system's precision over the whole split is 0.9; false matches are those in uploads under that edit.
    """
    scores = {name: marks(asked, found[name]).at_p90.score for name in found}
    tables: dict[str, list[Sequence[str]]] = {title: [] for title in TITLES}
    for edit in _edits(asked):
        count = str(len(asked.under(edit).truth))
        for title, cells in zip(TITLES, _edit_cells(asked, edit, found, scores), strict=True):
            tables[title].append((edit, count, *cells))
    return {title: _table(("edit", "copies", *found), rows) for title, rows in tables.items()}


TITLES = ("uAP", "segment AP", "recall at P 0.9", "false matches per 1000 h at P 0.9")


def _edit_cells(asked: Exam, edit: str, found: Found, scores: Mapping[str, float]) -> tuple[list[str], ...]:
    copies, under = asked.copies_under(edit), asked.under(edit)
    uap, segments, recall, false = [], [], [], []
    for name, matches in found.items():
        answers, mine = copies.answers(matches), under.answers(matches)
        uap.append(_cell(micro_ap(copies.truth, answers)))
        segments.append(_cell(segment_ap(copies.truth, answers)))
        recall.append(_cell(point_at(detection_curve(under.truth, mine), scores[name]).recall))
        false.append(_count(false_per_thousand_hours(under.truth, mine, scores[name], under.duration_ms)))
    return uap, segments, recall, false


def edit_uap(asked: Exam, edit: str, matches: Sequence[Match]) -> float:
    """The uAP of the copies under one edit among all uploads that hold none; not a number where there is none."""
    part = asked.copies_under(edit)
    return micro_ap(part.truth, part.answers(matches)) if part.truth else nan


def _edits(asked: Exam) -> list[str]:
    rows = dict.fromkeys(upload.row for upload in sorted(asked.asked, key=lambda upload: upload.row))
    return [*(row for row in rows if row != COMBINED), *(row for row in rows if row == COMBINED)]


def _cells(*values: float) -> list[str]:
    return [_cell(value) for value in values]


def _cell(value: float) -> str:
    return f"{value:.3f}" if isfinite(value) else "-"


def _count(value: float) -> str:
    return f"{value:.0f}" if isfinite(value) else "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
