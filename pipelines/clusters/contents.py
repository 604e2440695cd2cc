"""The contents of some nights by number, and where the features of each are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.clusters.uploads import Upload
from pipelines.pieces import Pieces
from pipelines.places import Place


@dataclass(frozen=True)
class NightUploads:
    """A night whose features are kept."""

    name: str  # of its folder
    folder: Place
    pieces: Pieces
    uploads: Sequence[Upload]


@dataclass(frozen=True)
class Contents:
    """Contents in order of their hashes; a number is a place in it."""

    names: tuple[str, ...]
    nights: tuple[Pieces, ...]
    night: tuple[int, ...]  # of each content, the first that has it

    @classmethod
    def of(cls, nights: Sequence[NightUploads], names: Sequence[str]) -> Contents:
        """Find each in the first night that has its features."""
        pieces = tuple(one.pieces for one in nights)
        where = (next(number for number, one in enumerate(pieces) if name in one.contents) for name in names)
        return cls(tuple(names), pieces, tuple(where))

    def duration_ms(self, number: int) -> int:
        """How long a content is."""
        return self.nights[self.night[number]].contents[self.names[number]].duration_ms

    def by_night(self, numbers: Iterable[int]) -> Iterator[tuple[Pieces, list[int]]]:
        """Group contents by whose features they are in, each group in the order of pieces."""
        groups: dict[int, list[int]] = {}
        for number in sorted(numbers):
            groups.setdefault(self.night[number], []).append(number)
        for night, own in groups.items():
            yield self.nights[night], own
