"""Tables of what each system found: overall, by kind of footage, by edit, and of look-alikes; Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from benchmarks.copies.exam import COMBINED, Exam
from benchmarks.copies.levels import Levels, Said, said
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

KINDS = ("real", "photo", "game")
Found = Mapping[str, Sequence[Match]]


@dataclass(frozen=True)
class Trial:
    """One draw: what was asked, what every system found, and from which score on each acts."""

    exam: Exam
    found: Found
    levels: Mapping[str, Levels]

    def part(self, exam: Exam) -> Trial:
        """The same of some of the uploads."""
        return Trial(exam, self.found, self.levels)

    def said(self, name: str) -> Said:
        """What a system says at its thresholds."""
        return said(self.exam.truth, self.exam.answers(self.found[name]), self.levels[name], self.exam.lengths)


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


OVERALL = ("uAP", "segment AP", "recall at P 0.9")
HELD = ("precision at action", "recall at action", "with doubt", "false /200", "in doubt /200", "false /1000 h")


def overall(trials: Sequence[Trial]) -> str:
    """One row a system: what its ranking is worth, and what it says at its thresholds."""
    rows = [(name, *_marked(trials, name), *_held(trials, name)) for name in trials[0].found]
    return _table(("system", *OVERALL, *HELD), rows)


def _marked(trials: Sequence[Trial], name: str) -> list[str]:
    own = [marks(trial.exam, trial.found[name]) for trial in trials]
    return [_cell([m.uap for m in own]), _cell([m.segment_ap for m in own]), _cell([m.at_p90.recall for m in own])]


def _held(trials: Sequence[Trial], name: str) -> list[str]:
    held = [trial.said(name) for trial in trials]
    shares = [[s.precision for s in held], [s.recall for s in held], [s.recall_with_doubt for s in held]]
    false = [[s.false_per(200) for s in held], [s.false_per(200, "in_doubt") for s in held]]
    per_hours = [s.false_per_1000h for s in held]
    return [*map(_cell, shares), *(_cell(values, 1) for values in false), _cell(per_hours, 0)]


def by_kind(trials: Sequence[Trial]) -> str:
    """Real footage, moving photographs and games apart: copies of that kind among uploads of that kind."""
    rows = []
    for kind in KINDS:
        parts = [trial.part(trial.exam.of_kind(kind)) for trial in trials]
        if all(part.exam.truth for part in parts):
            rows += [(kind, name, *_marked(parts, name), *_held(parts, name)) for name in trials[0].found]
    return _table(("kind", "system", *OVERALL, *HELD), rows)


TITLES = ("uAP", "segment AP", "recall at P 0.9", "recall at action", "false pairs at action")


def by_edit(trials: Sequence[Trial]) -> dict[str, str]:
    """Return a table a title, a row an edit and a column a system.

    The APs rank the copies under that edit among all uploads that hold none. Recall at P 0.9 is that at the score
    where the system's precision over all uploads is 0.9; false pairs are those in uploads under that edit.
    """
    tables: dict[str, list[Sequence[str]]] = {title: [] for title in TITLES}
    scores = [{name: marks(t.exam, t.found[name]).at_p90.score for name in t.found} for t in trials]
    for edit in _edits(trials[0].exam):
        count = str(sum(len(trial.exam.under(edit).truth) for trial in trials))
        columns = [_edit_cells(trials, scores, edit, name) for name in trials[0].found]
        for title, cells in zip(TITLES, zip(*columns, strict=True), strict=True):
            tables[title].append((edit, count, *cells))
    return {title: _table(("edit", "copies", *trials[0].found), rows) for title, rows in tables.items()}


def _edit_cells(
    trials: Sequence[Trial], scores: Sequence[Mapping[str, float]], edit: str, name: str
) -> tuple[str, str, str, str, str]:
    uap, segments, recall, held, false = [], [], [], [], []
    for trial, score in zip(trials, scores, strict=True):
        copies, under = trial.exam.copies_under(edit), trial.exam.under(edit)
        answers, mine = copies.answers(trial.found[name]), under.answers(trial.found[name])
        uap.append(micro_ap(copies.truth, answers))
        segments.append(segment_ap(copies.truth, answers))
        recall.append(point_at(detection_curve(under.truth, mine), score[name]).recall)
        at_action = trial.part(under).said(name)
        held.append(at_action.recall)
        false.append(at_action.false_action)
    return _cell(uap), _cell(segments), _cell(recall), _cell(held), _cell(false, 0)


def edit_uap(asked: Exam, edit: str, matches: Sequence[Match]) -> float:
    """The uAP of the copies under one edit among all uploads that hold none; not a number where there is none."""
    part = asked.copies_under(edit)
    return micro_ap(part.truth, part.answers(matches)) if part.truth else nan


def lookalikes(trials: Sequence[Trial]) -> str:
    """A row a kind and a column a system, all draws together.

    A cell says of the look-alikes how many false pairs are at action and, after a plus, in doubt; after a bar, how
    many of the true copies of the same references are found at action and, after a plus, in doubt.
    """
    kinds = sorted({upload.kind for trial in trials for upload in trial.exam.asked})
    rows = [_alike_row(kind, trials, lambda upload, kind=kind: upload.kind == kind) for kind in kinds]
    return _table(
        ("kind", "look-alikes", "copies", *trials[0].found), [*rows, _alike_row("all", trials, lambda _: True)]
    )


def _alike_row(kind: str, trials: Sequence[Trial], wanted: Callable[..., bool]) -> Sequence[str]:
    parts = [trial.part(trial.exam.part(wanted)) for trial in trials]
    likes = [part.part(part.exam.part(lambda upload: not upload.copied)) for part in parts]
    copies = [part.part(part.exam.part(lambda upload: upload.copied)) for part in parts]
    cells = []
    for name in trials[0].found:
        false, right = [t.said(name) for t in likes], [t.said(name) for t in copies]
        alike = f"{sum(s.false_action for s in false)} + {sum(s.false_doubt for s in false)}"
        cells.append(f"{alike} / {sum(s.right_action for s in right)} + {sum(s.right_doubt for s in right)}")
    counts = (str(sum(len(t.exam.asked) for t in group)) for group in (likes, copies))
    return kind, *counts, *cells


def worst(trials: Sequence[Trial], name: str, count: int = 40) -> str:
    """The false pairs that a system says with the highest scores."""
    rows = []
    for draw, trial in enumerate(trials):
        wanted, kinds = {copy.pair for copy in trial.exam.truth}, {u.query: u for u in trial.exam.asked}
        for match in trial.exam.answers(trial.found[name]):
            level = trial.levels[name].level(match, trial.exam.lengths[match.query])
            if level and match.pair not in wanted:
                upload = kinds[match.query]
                about = ("hard, " if upload.hard else "") + f"{upload.kind}, {'+'.join(upload.edits)}"
                spans = ("-".join(f"{at / 1000:.1f}" for at in span) for span in match.spans)
                rows.append((level, match.score, (str(draw), *match.pair, about, *spans)))
    ranked = sorted(rows, key=lambda row: (row[0] != "action", -row[1]))[:count]
    head = ("level", "score", "draw", "upload", "reference", "upload is", "s", "reference s")
    return _table(head, [(level, f"{score:.3f}", *cells) for level, score, cells in ranked])


def _edits(asked: Exam) -> list[str]:
    rows = dict.fromkeys(upload.row for upload in sorted(asked.asked, key=lambda upload: upload.row))
    return [*(row for row in rows if row != COMBINED), *(row for row in rows if row == COMBINED)]


def _cell(values: Sequence[float], digits: int = 3) -> str:
    """The median of all draws, with the lowest and the highest where they differ."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return "-"
    middle, low, high = (f"{value:.{digits}f}" for value in (statistics.median(known), min(known), max(known)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
