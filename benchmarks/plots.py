"""Pictures of a benchmark run: every repetition of what was required beside its bound, and the bars a result brings.

SVG without a date and with fixed ids: the same run gives the same bytes. The background is left out and the greys lie
midway, so that a page may be light or dark; words stay words, in the reader's own font.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.history import Change
from benchmarks.result import Bounds, Chart, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, ROW, MARGIN = 8.0, 0.62, 0.5  # inches
GREY, BLUE, ORANGE, RED = "#7d8590", "#388bfd", "#d9822b", "#e5534b"
STYLE: Any = {  # matplotlib types every name of its settings apart
    "svg.hashsalt": "nightjar",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def draw(
    folder: Path, stem: str, result: Result, required: Sequence[Bounds], changes: Sequence[Change] = ()
) -> dict[str, Path]:
    """Write the pictures beside the report `stem`; what each shows and where it is."""
    made: dict[str, Path] = {}
    asked = {each.metric: [row for row in required if row.metric == each.metric] for each in required}
    asked = {metric: rows for metric, rows in asked.items() if metric in result.metrics}
    if asked:
        made["what was required, repetition by repetition"] = folder / f"{stem}-required.svg"
        _save(_required(asked, result, {each.metric: each for each in changes}), folder / f"{stem}-required.svg")
    for chart in result.charts:
        path = folder / f"{stem}-{re.sub(r'[^a-z0-9]+', '-', chart.title.lower()).strip('-')}.svg"
        made[f"{chart.title}, {chart.unit}"] = path
        _save(_bars(chart), path)
    return made


def _save(figure: Figure, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _strips(rows: int, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """A figure of so many axes below one another, each of its own scale."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, rows * height + MARGIN), layout="constrained")
        axes = list(figure.subplots(rows, 1, squeeze=False)[:, 0])
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    for each in axes:
        each.spines[["top", "left", "right"]].set_visible(False)
    return figure, axes


def _required(asked: Mapping[str, Sequence[Bounds]], result: Result, changes: Mapping[str, Change]) -> Figure:
    """A strip a metric: the bounds with the side that is asked for, the repetitions, and the last run's median."""
    title = "dots: repetitions, red where missed; orange: the bound and the side wanted; diamond: the last run's median"
    figure, axes = _strips(len(asked), ROW, title)
    for strip, (metric, rows) in zip(axes, asked.items(), strict=True):
        values, before = result.metrics[metric], changes.get(metric)
        _scale(strip, [*values, *_limits(rows), *([before.before.median] if before else [])])
        _shade(strip, rows)
        if before:
            strip.plot(before.before.median, 0, marker="D", color=GREY, markersize=7, fillstyle="none")
        missed = not all(row.met_by(statistics.median(values)) for row in rows)
        strip.plot(values, [0] * len(values), "o", color=RED if missed else BLUE, alpha=0.75, markersize=6)
        strip.set_yticks([0], [metric])
        strip.set_ylim(-1, 1)
        strip.tick_params(left=False)
    return figure


def _limits(rows: Sequence[Bounds]) -> list[float]:
    return [value for row in rows for value in (row.min_value, row.max_value) if value is not None]


def _scale(strip: Axes, values: Sequence[float]) -> None:
    """Room beside the outermost value, also where all are one."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    strip.set_xlim(low - room, high + room)


def _shade(strip: Axes, rows: Sequence[Bounds]) -> None:
    """The side, or the stretch, that all bounds of a metric ask for."""
    left, right = strip.get_xlim()
    low = max(left if row.min_value is None else row.min_value for row in rows)
    high = min(right if row.max_value is None else row.max_value for row in rows)
    strip.axvspan(low, high, color=ORANGE, alpha=0.14, linewidth=0)
    for value in _limits(rows):
        strip.axvline(value, color=ORANGE, linewidth=1.5)


def _bars(chart: Chart) -> Figure:
    """A bar of the median each, the first on top, with a line from the lowest to the highest."""
    figure, (axes,) = _strips(1, 0.32 * len(chart.bars) + 0.3, f"{chart.title}, {chart.unit}")
    medians = [statistics.median(values) for values in chart.bars.values()]
    axes.barh(range(len(medians)), medians, color=BLUE, height=0.62)
    for place, (values, median) in enumerate(zip(chart.bars.values(), medians, strict=True)):
        axes.plot([min(values), max(values)], [place, place], color=ORANGE, linewidth=1.5)
        end = (max([*values, 0.0]), place)
        axes.annotate(f"{median:.4g}", end, (4, 0), textcoords="offset points", va="center", color=GREY, fontsize=8)
    axes.set_yticks(range(len(medians)), list(chart.bars))
    axes.tick_params(left=False)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    return figure
