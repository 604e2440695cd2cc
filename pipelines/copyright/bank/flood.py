"""The flood guard: a reference that suddenly matches a large share of a night says more about itself than about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.copyright.bank.reference import Kind, Reference, State


@dataclass(frozen=True)
class FloodLimits:
    """How much one reference may match before it is held back for a person to look at."""

    share: float = 0.02  # of the night's distinct contents
    least: int = 50  # contents: a small run of copies of one film is no flood

    def __post_init__(self) -> None:
        """Refuse limits that everything or nothing would pass."""
        if not 0 < self.share <= 1 or self.least < 1:
            raise ValueError(f"flood limits {self.share}, {self.least}: wanted a share in (0, 1] and a count above 0")


def floods(
    matched: Mapping[str, int], contents: int, references: Iterable[Reference], limits: FloodLimits
) -> dict[str, str]:
    """Return the ids of references to quarantine, each with one sentence that says why.

    `matched` holds, by reference id, how many distinct contents of the night it matched; `contents` is how many the
    night had. Negative references are there to match much, trusted ones were looked at by a person, and those that
    are not active match nothing more: none of them is returned.
    """
    watched = (ref for ref in references if _is_watched(ref))
    return {
        ref.id: _reason(matched[ref.id], contents, limits) for ref in watched if _over(ref, matched, contents, limits)
    }


def _is_watched(reference: Reference) -> bool:
    return reference.state is State.ACTIVE and reference.kind is not Kind.NEGATIVE and not reference.trusted


def _over(reference: Reference, matched: Mapping[str, int], contents: int, limits: FloodLimits) -> bool:
    count = matched.get(reference.id, 0)
    return count >= limits.least and count > limits.share * contents


def _reason(count: int, contents: int, limits: FloodLimits) -> str:
    share = f"{count} of {contents} contents of a night ({100 * count / contents:.1f}%)"
    return f"it matched {share}; the limit is {100 * limits.share:g}% and at least {limits.least}"
