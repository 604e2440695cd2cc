"""Matrices end to end that are read where they lie: parts of a long one may be memory maps of several files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Joined:
    """Matrices of one width and type, one after the other; rows are copied when they are asked for."""

    parts: Sequence[NDArray[Any]]  # one or more

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The row behind the last one of each part."""
        return np.cumsum([len(part) for part in self.parts])

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return len(self), *self.parts[0].shape[1:]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        """A stretch, without a copy where it lies in one part; or rows by number or by flag, copied."""
        if isinstance(rows, slice):
            return self._stretch(*rows.indices(len(self))[:2])
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        found = np.empty((len(rows), *self.shape[1:]), self.parts[0].dtype)
        part = np.searchsorted(self.ends, rows, side="right")
        for number in np.unique(part).tolist():
            own = part == number
            found[own] = self.parts[number][rows[own] - (self.ends[number] - len(self.parts[number]))]
        return found

    def _stretch(self, start: int, stop: int) -> NDArray[Any]:
        pieces = [
            part[max(0, start - first) : stop - first]
            for part, first in zip(self.parts, (self.ends - [len(part) for part in self.parts]).tolist(), strict=True)
            if first < stop and start < first + len(part)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate([self.parts[0][:0], *pieces])

    def where(self, keep: NDArray[np.bool_]) -> Joined:
        """Rows that stay, flags [N]; a part of which all stay is not copied."""
        firsts = self.ends - [len(part) for part in self.parts]
        flags = [keep[first:end] for first, end in zip(firsts.tolist(), self.ends.tolist(), strict=True)]
        kept = [part if flag.all() else part[flag] for part, flag in zip(self.parts, flags, strict=True) if flag.any()]
        return Joined(kept or [self.parts[0][:0]])


Matrix = NDArray[Any] | Joined
