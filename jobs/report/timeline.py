"""Timelines as small SVGs: score curves, a policy's thresholds, segments, and an axis. Pure functions, no script.

Positions are percentages, so that a drawing fills its place while its text keeps its size; only the curve
itself is stretched, from WIDTH x HEIGHT units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from jobs.report.words import threshold_text

WIDTH, HEIGHT = 1000, 100
MAX_TICKS = 7
MIN_MARK = 0.9  # percent: the narrowest segment that can still be pointed at
TEXT_GAP = 0.27  # two thresholds closer than this would write over each other
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
TICK_STEPS_MS = (
    *(100, 200, 500),
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6)),
)

Steps = tuple[NDArray[np.int64], NDArray[np.float64]]  # edges in ms [N + 1], scores between them [N]


@dataclass(frozen=True)
class Mark:
    """A segment to highlight."""

    start_ms: int
    end_ms: int
    peak_ms: int
    peak: float  # of the raw score
    kind: str  # the suggestion it leads to
    tip: str
    opens: str = ""  # the picture it stands for
    row: int = 0  # of `rows`, where segments that overlap share the height of the lane
    rows: int = 1


@dataclass(frozen=True)
class Lane:
    """What one lane shows; `judged` is the averaged curve where the policy asks for one."""

    raw: Steps | None
    judged: Steps | None = None
    thresholds: tuple[float, float] | None = None
    kind: str = ""  # what the upper threshold leads to
    marks: tuple[Mark, ...] = ()


def clock(ms: int, tenths: bool = False) -> str:
    """Format a time as m:ss or h:mm:ss, with tenths where asked; cuts, does not round."""
    hours, rest = divmod(max(ms, 0), HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{rest // SECOND:02}" + (f".{rest % SECOND // 100}" if tenths else "")
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def span(start_ms: int, end_ms: int) -> str:
    """Write a stretch of time: "0:12 to 0:31", or "at 0:12" where both ends read the same."""
    start, end = clock(start_ms), clock(end_ms)
    return f"at {start}" if start == end else f"{start} to {end}"


def element(tag: str, *children: Markup, **attributes: object) -> Markup:
    """Write one element; `data_tip` becomes data-tip, `class_` class, and every value is escaped."""
    pairs = [(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items()]
    written = Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in pairs if value != "")
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, Markup("").join(children))


def percent(share: float) -> str:
    """Write a share of the whole, held to 0 to 100, with two decimals at most."""
    return f"{round(100 * min(max(share, 0.0), 1.0), 2):g}%"


def steps_path(steps: Steps, duration_ms: int) -> str:
    """Draw a step function; where several steps share a column of the drawing, the highest counts.

    Ten seconds with a score of 0.5 from 2 s to 4 s: `M0 100H200V50H400V100H1000V100`.
    """
    edges_ms, scores = steps
    columns = edges_ms * WIDTH / duration_ms
    firsts = np.clip(np.floor(columns[:-1]), 0, WIDTH - 1).astype(int)
    pasts = np.clip(np.ceil(columns[1:]), firsts + 1, WIDTH).astype(int)
    heights = np.zeros(WIDTH)
    for first, past, score in zip(firsts, pasts, scores, strict=True):
        heights[first:past] = np.maximum(heights[first:past], score)
    tops = np.rint(HEIGHT * (1 - heights)).astype(int)
    turns = np.flatnonzero(np.diff(tops, prepend=HEIGHT))
    return f"M0 {HEIGHT}" + "".join(f"H{x}V{tops[x]}" for x in turns) + f"H{WIDTH}V{HEIGHT}"


def lane_svg(lane: Lane, duration_ms: int, name: str) -> Markup:
    """Draw one lane: bands, curve, thresholds, segments, from back to front."""
    parts = [*_bands(lane), _curves(lane, duration_ms), *_lines(lane)]
    parts += [_mark(mark, duration_ms) for mark in lane.marks]
    label = f"Scores of {name} over time"
    return element("svg", *parts, class_="lane", role="group", aria_label=label)


def _bands(lane: Lane) -> Iterator[Markup]:
    if lane.thresholds:
        low, high = lane.thresholds
        yield _rect(0, 1, 1 - high, high - low, "band doubt")
        yield _rect(0, 1, 0, 1 - high, f"band {lane.kind}")


def _rect(x: float, width: float, y: float, height: float, class_: str) -> Markup:
    sizes = {"x": x, "width": width, "y": y, "height": height}
    return element("rect", **{name: percent(share) for name, share in sizes.items()}, class_=class_)


def _curves(lane: Lane, duration_ms: int) -> Markup:
    """Lay the raw score as an area under the line that is judged."""
    if lane.raw is None:
        return Markup("")
    paths = [element("path", d=steps_path(lane.raw, duration_ms), class_="area" if lane.judged else "area curve")]
    if lane.judged:
        paths.append(element("path", d=steps_path(lane.judged, duration_ms), class_="curve"))
    box = f"0 0 {WIDTH} {HEIGHT}"
    return element("svg", *paths, viewBox=box, preserveAspectRatio="none", width="100%", height="100%")


def _lines(lane: Lane) -> Iterator[Markup]:
    """Draw the thresholds and write them into the margin, moved apart where they would touch."""
    if lane.thresholds is None:
        return
    low, high = lane.thresholds
    shift = 0.0 if high - low >= TEXT_GAP else 0.4
    for name, score, dy in (("low", low, 0.32 + shift), ("high", high, 0.32 - shift)):
        y = percent(1 - score)
        yield element("line", x1=0, x2="100%", y1=y, y2=y, class_=f"threshold {name}")
        yield element("text", Markup.escape(threshold_text(score)), x="100%", y=y, dx=5, dy=f"{dy:.2f}em")


def _mark(mark: Mark, duration_ms: int) -> Markup:
    x, width = mark_place(mark, duration_ms)
    drawn = {"x": f"{x:g}%", "width": f"{width:g}%"}
    parts = [
        element("rect", **drawn, **_height(mark), class_="stretch"),
        element("rect", **drawn, y="100%", height=4, class_="foot"),
        element("circle", cx=percent(mark.peak_ms / duration_ms), cy=percent(1 - mark.peak), r=3),
    ]
    said = {"role": "button" if mark.opens else "img", "aria_label": mark.tip.replace("\n", ", ")}
    return element(
        "g", *parts, class_=f"mark {mark.kind}", tabindex=0, **said, data_tip=mark.tip, data_opens=mark.opens
    )


def _height(mark: Mark) -> dict[str, object]:
    if mark.rows == 1:
        return {"y": 0, "height": "100%"}
    return {"y": percent(mark.row / mark.rows), "height": percent(1 / mark.rows)}


def mark_place(mark: Mark, duration_ms: int) -> tuple[float, float]:
    """Return where a segment begins and how wide it is, in percent; inside the drawing, never too narrow."""
    return placed(mark.start_ms, mark.end_ms, duration_ms)


def placed(start_ms: int, end_ms: int, duration_ms: int) -> tuple[float, float]:
    """The same for any stretch of time."""
    start, end = (100 * min(max(ms / duration_ms, 0.0), 1.0) for ms in (start_ms, end_ms))
    width = max(end - start, MIN_MARK)
    return round(min(start, 100 - width), 2), round(width, 2)


def tick_times(duration_ms: int) -> list[int]:
    """Return round times from 0 on, at most MAX_TICKS of them where the table of steps reaches."""
    step = next((step for step in TICK_STEPS_MS if duration_ms // step < MAX_TICKS), TICK_STEPS_MS[-1])
    return list(range(0, duration_ms + 1, step))


def axis_svg(duration_ms: int) -> Markup:
    """Draw the time axis."""
    times = tick_times(duration_ms)
    tenths = len(times) > 1 and times[1] < SECOND
    ticks = [_tick(ms, duration_ms, clock(ms, tenths)) for ms in times]
    return element("svg", *ticks, class_="axis", aria_hidden="true")


def _tick(ms: int, duration_ms: int, text: str) -> Markup:
    share = ms / duration_ms
    anchor = "start" if share < 0.02 else "end" if share > 0.97 else "middle"
    x = percent(share)
    line = element("line", x1=x, x2=x, y1=0, y2=5)
    return line + element("text", Markup.escape(text), x=x, y=16, text_anchor=anchor)


def bar_svg(share: float, class_: str = "bar") -> Markup:
    """Draw a share as a bar."""
    return element("svg", _rect(0, share, 0, 1, "fill"), class_=class_, aria_hidden="true")
