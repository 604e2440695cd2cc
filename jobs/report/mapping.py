"""Which part of an upload is which part of a reference: two bars in time, joined by a band for each claim.

The bars have the same scale wherever the claims let them, so that a band keeps its width where nothing was sped up,
is cut where something was cut, and crosses another where the order was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from jobs.report.timeline import HOUR, SECOND, clock, element, percent, placed, tick_times

BAR, BAND = 8, 34  # heights in pixels
TOP = 18  # of the upper bar, below its times
LOW = TOP + BAR + BAND  # of the lower bar
MARGIN = 1.15  # how much of the reference is drawn, against what the claims span


@dataclass(frozen=True)
class Band:
    """One claim as two stretches of time."""

    start_ms: int
    end_ms: int
    ref_start_ms: int
    ref_end_ms: int
    kind: str
    tip: str
    opens: str = ""  # the picture it stands for


def map_svg(bands: Sequence[Band], upload_ms: int, name: str) -> Markup:
    """Draw an upload above, a reference below, and between them what they share."""
    first_ms, length_ms = part_drawn(bands, upload_ms)
    parts = [*_bar(0, upload_ms, TOP, above=True), *_bar(first_ms, length_ms, LOW, above=False)]
    longest_first = sorted(bands, key=lambda band: band.start_ms - band.end_ms)  # so that all can be pointed at
    parts += [_band(band, upload_ms, first_ms, length_ms) for band in longest_first]
    return element("svg", *parts, class_="map", role="group", aria_label=f"What of this upload is what of {name}")


def part_drawn(bands: Sequence[Band], upload_ms: int) -> tuple[int, int]:
    """Return where the drawn part of the reference begins, and its length: as much as the upload where that will do."""
    first, last = min(band.ref_start_ms for band in bands), max(band.ref_end_ms for band in bands)
    length_ms = max(upload_ms, round(MARGIN * (last - first)), 1)
    return max((first + last - length_ms) // 2, 0), length_ms


def _bar(first_ms: int, length_ms: int, y: int, *, above: bool) -> Iterator[Markup]:
    yield element("rect", x=0, width="100%", y=y, height=BAR, class_="bar-of")
    times = [ms for ms in _round_times(first_ms, length_ms) if first_ms <= ms <= first_ms + length_ms]
    tenths = len(times) > 1 and times[1] - times[0] < SECOND
    line, text = ((y - 4, y), y - 7) if above else ((y + BAR, y + BAR + 4), y + BAR + 16)
    for ms in times:
        share = (ms - first_ms) / length_ms
        anchor = "start" if share < 0.02 else "end" if share > 0.97 else "middle"
        yield element("line", x1=percent(share), x2=percent(share), y1=line[0], y2=line[1])
        yield element("text", Markup.escape(clock(ms, tenths)), x=percent(share), y=text, text_anchor=anchor)


def _round_times(first_ms: int, length_ms: int) -> list[int]:
    """Round times around a stretch; fewer where they are long to write."""
    steps = tick_times(2 * length_ms if first_ms + length_ms >= HOUR else length_ms)
    step = steps[1] if len(steps) > 1 else length_ms
    return list(range(first_ms // step * step, first_ms + length_ms + 1, step))


def _band(band: Band, upload_ms: int, first_ms: int, length_ms: int) -> Markup:
    """Draw both stretches and what joins them; only the joint is stretched, so that the bars keep their height."""
    here = placed(band.start_ms, band.end_ms, upload_ms)
    there = placed(band.ref_start_ms - first_ms, band.ref_end_ms - first_ms, length_ms)
    corners = ((here[0], 0), (sum(here), 0), (sum(there), 1), (there[0], 1))
    joint = element("polygon", points=" ".join(f"{x:g},{y}" for x, y in corners), class_="stretch")
    box = {"x": 0, "y": TOP + BAR, "width": "100%", "height": BAND, "viewBox": "0 0 100 1"}
    parts = [
        element("svg", joint, **box, preserveAspectRatio="none"),
        *(_stretch(*place, y) for place, y in ((here, TOP), (there, LOW))),
    ]
    said = {"role": "button" if band.opens else "img", "aria_label": band.tip.replace("\n", ", ")}
    return element(
        "g", *parts, class_=f"mark {band.kind}", tabindex=0, **said, data_tip=band.tip, data_opens=band.opens
    )


def _stretch(x: float, width: float, y: int) -> Markup:
    return element("rect", x=f"{x:g}%", width=f"{width:g}%", y=y, height=BAR, class_="foot")
