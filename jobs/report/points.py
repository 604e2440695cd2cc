"""The matched points of a claim: lines from a picture of the upload to the same places in one of the work.

Both pictures are drawn in one height beside each other, so that one drawing fits over both whatever their shapes are;
its unit is that height.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from PIL import Image

from jobs.report.timeline import element
from jobs.report.words import one_line, short

LINES = 60  # drawn at most; more hide the pictures
GAP = 0.04  # between the pictures
NARROW, WIDE = 0.3, 3.5  # shapes, width by height, that still can be seen beside another picture
REASON = 160  # characters
WORDS = {"verified": "verified", "in_doubt": "in doubt", "unseen": "not verified"}


@dataclass(frozen=True)
class Points:
    """A drawing over two pictures, and what lays them out."""

    svg: Markup
    columns: str  # of a CSS grid: both pictures and what is between them
    aspect: str  # width by height of the whole


def check_text(row: Mapping[str, Any]) -> str:
    """What verification said, such as "in doubt: 12 matched points, other words"; "" where it said nothing."""
    verdict = row.get("verified")
    if not verdict:
        return ""
    why = ", ".join(filter(None, (count_text(row.get("points")), short(one_line(row.get("reason") or ""), REASON))))
    known = WORDS.get(verdict, one_line(str(verdict)))
    return f"{known}: {why}" if why else known


def count_text(points: Sequence[object] | None) -> str:
    """How many."""
    many = len(points or ())
    return f"{many:,} matched point{'' if many == 1 else 's'}" if many else ""


def drawn_points(row: Mapping[str, Any]) -> Points | None:
    """Draw the points of a match; None where a picture or the points are missing, or cannot be used."""
    left, right = _shape(row.get("picture")), _shape(row.get("ref_picture"))
    points = [point for point in row.get("points") or () if _inside(point)]
    if not points or left is None or right is None:
        return None
    width = left + GAP + right
    shown = [points[number * len(points) // LINES] for number in range(LINES)] if len(points) > LINES else points
    ends = [((p["x"] * left, p["y"]), (left + GAP + p["ref_x"] * right, p["ref_y"])) for p in shown]
    lines = "".join(f"M{a:.3f} {b:.3f}L{c:.3f} {d:.3f}" for (a, b), (c, d) in ends)
    dots = "".join(f"M{x:.3f} {y:.3f}h0" for pair in ends for x, y in pair)
    said = ", ".join(filter(None, (count_text(row.get("points")), one_line(row.get("reason") or ""))))
    svg = element(
        "svg",
        *(element("path", d=d, class_=name) for name, d in (("join", lines), ("rim", dots), ("dot", dots))),
        class_="points",
        role="img",
        viewBox=f"0 0 {width:.3f} 1",
        aria_label=said,
    )
    return Points(svg, f"{left:.3f}fr {GAP}fr {right:.3f}fr", f"{width:.3f}")


def _inside(point: Mapping[str, Any]) -> bool:
    return all(point[name] is not None and 0 <= point[name] <= 1 for name in ("x", "y", "ref_x", "ref_y"))


def _shape(webp: bytes | None) -> float | None:
    """Width by height; None for what is no picture, or too narrow to be seen beside another one."""
    if not webp:
        return None
    try:
        with Image.open(io.BytesIO(webp)) as picture:
            width, height = picture.size
    except OSError:
        return None
    shape = width / height
    return shape if NARROW <= shape <= WIDE else None
