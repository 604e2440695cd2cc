"""A dated Markdown report of one benchmark run: what was claimed, on what, and every number."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class Measured(Protocol):
    """What a report needs of a result."""

    @property
    def metrics(self) -> Mapping[str, Sequence[float]]:
        """Every repetition of every metric."""

    @property
    def setup(self) -> Mapping[str, object]:
        """How it was measured."""

    @property
    def notes(self) -> Sequence[str]:
        """What else a reader should know: a sentence, or a block of Markdown of several lines, such as a table."""


def markdown(
    name: str, when: datetime, result: Measured, checks: Sequence[str], machine: Mapping[str, str], run_id: str
) -> str:
    """Lay the report out."""
    lines = [f"# {name}, {when:%Y-%m-%d %H:%M} UTC", "", *[f"- {check}" for check in checks]]
    lines += [f"- {note}" for note in result.notes if "\n" not in note]
    lines += ["", "| metric | median | lowest | highest | runs |", "|---|---|---|---|---|"]
    for metric, values in result.metrics.items():
        lines.append(
            f"| {metric} | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} | {len(values)} |"
        )
    for block in (note for note in result.notes if "\n" in note):
        lines += ["", block]
    lines += ["", *_table("set-up", result.setup), "", *_table("machine", machine), "", f"MLflow run `{run_id}`.", ""]
    return "\n".join(lines)


def _table(title: str, rows: Mapping[str, object]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *[f"| {name} | {value} |" for name, value in rows.items()]]
