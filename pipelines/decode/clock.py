"""One clock for all readers of a file."""

from __future__ import annotations

from fractions import Fraction


def clock_ms(pts: int, time_base: Fraction, start_us: int) -> int:
    """Return the milliseconds since the container's first timestamp, in whole numbers so that all readers agree."""
    return (pts * time_base.numerator * 1_000_000 // time_base.denominator - start_us + 500) // 1000
