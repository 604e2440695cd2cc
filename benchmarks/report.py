"""A dated Markdown report of one benchmark run: what was claimed, on what, what changed, pictures, and every number."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.history import NOTICED, Change, Run
from benchmarks.result import Check, Result


@dataclass(frozen=True)
class History:
    """What the last recorded run of the same kind of machine says about this one."""

    before: Run
    changes: Sequence[Change]
    other_setup: Sequence[str] = ()  # what the two were not set up alike in

    @property
    def lines(self) -> list[str]:
        """For a terminal: a line a metric, regressions first."""
        rows = sorted(self.changes, key=lambda each: each.verdict != "regression")
        lines = [f"{each.verdict:10} {each}" for each in rows]
        return [
            f"against the run of {self.before.when:%Y-%m-%d %H:%M} UTC ({self.before.run_id}):",
            *lines,
            *self._caveat,
        ]

    @property
    def _caveat(self) -> list[str]:
        return [f"set up otherwise: {'; '.join(self.other_setup)}"] if self.other_setup else []

    @property
    def section(self) -> list[str]:
        """For the report: a table, and what its verdicts mean."""
        rows = [
            f"| {each.metric} | {each.before.median:.3f} | {each.now.median:.3f} | {each.percent} | {each.verdict} |"
            for each in self.changes
        ]
        return [
            f"## Since {self.before.when:%Y-%m-%d %H:%M} UTC",
            "",
            f"The last recorded run on this kind of machine: MLflow `{self.before.run_id}`. A regression is a median"
            f" worse by over {100 * NOTICED:.0f} % with repetitions that do not overlap.",
            *(line for caveat in self._caveat for line in ("", f"The two were {caveat}.")),
            "",
            "| required | then | now | change | |",
            "|---|---|---|---|---|",
            *rows,
        ]


def write(
    folder: Path,
    name: str,
    when: datetime,
    result: Result,
    checks: Sequence[Check],
    machine: Mapping[str, str],
    run_id: str,
    past: History | None = None,
) -> Path:
    """Write the report and its pictures into a folder, and return the report's path."""
    from benchmarks.plots import draw

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{when:%Y-%m-%d}-{name}.md"
    pictures = draw(folder, path.stem, result, [each.bounds for each in checks], past.changes if past else ())
    sentences = [each.sentence for each in checks]
    path.write_text(markdown(name, when, result, sentences, machine, run_id, past, pictures), "utf-8")
    return path


def markdown(
    name: str,
    when: datetime,
    result: Result,
    checks: Sequence[str],
    machine: Mapping[str, str],
    run_id: str,
    past: History | None = None,
    pictures: Mapping[str, Path] | None = None,
) -> str:
    """Lay the report out; `pictures` are titles and files beside it."""
    lines = [f"# {name}, {when:%Y-%m-%d %H:%M} UTC", "", *[f"- {check}" for check in checks]]
    lines += [f"- {note}" for note in result.notes if "\n" not in note]
    for title, picture in (pictures or {}).items():
        lines += ["", f"![{title}]({picture.name})"]
    if past and past.changes:
        lines += ["", *past.section, "", "## Every number"]
    if result.metrics:
        lines += ["", "| metric | median | lowest | highest | runs |", "|---|---|---|---|---|"]
    for metric, values in result.metrics.items():
        lines.append(
            f"| {metric} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} | {len(values)} |"
        )
    for block in (note for note in result.notes if "\n" in note):
        lines += ["", block]
    lines += ["", *_table("set-up", result.setup), "", *_table("machine", machine), "", _logged(run_id), ""]
    return "\n".join(lines)


def _logged(run_id: str) -> str:
    return f"MLflow run `{run_id}`." if run_id else "Not logged to MLflow."


def _table(title: str, rows: Mapping[str, object]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *[f"| {name} | {value} |" for name, value in rows.items()]]
