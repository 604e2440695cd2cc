"""Lines of successive frames to lines with a span, and lines of successive windows to lines of the video.

Two readings are of one line where their texts are the same but for case, spaces and, at the same place, a letter in six
or more. They are compared with the first reading, so that a ticker does not drift from one text into another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from model_registry.model import Line

GAP_MS = 2000  # a line may be missed for so long, a frame at one a second, and is still the same
BOUNDARY_MS = 1000  # between the end of a line in one window and its start in the next
EDITS = 5  # one edit is forgiven for more than so many letters
MAX_LINES = 64  # of one reading, the most confident; no screen has more that can be read
MAX_LETTERS = 200  # of a line, for comparing


@dataclass(frozen=True)
class Reading:
    """The lines seen at one time, read there or known to be still there."""

    ms: int
    lines: tuple[Line, ...]


@dataclass
class _Track:
    """One line while it lasts."""

    first: Line
    best: Line
    start_ms: int
    seen_ms: int
    gone_ms: int | None = None  # the first reading without it since
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = _key(self.first.text)

    def see(self, line: Line, ms: int) -> None:
        self.seen_ms, self.gone_ms = ms, None
        if line.confidence > self.best.confidence:
            self.best = line


def merge(readings: Sequence[Reading], end_ms: int, gap_ms: int = GAP_MS) -> list[Line]:
    """Return lines with spans, by their start: from the first reading with it to the first after the last with it.

    `readings` ascend in time; what the last one has goes on to `end_ms`. The most confident text stands.
    """
    tracks: list[_Track] = []
    done: list[_Track] = []
    for reading in readings:
        done += [track for track in tracks if reading.ms - track.seen_ms > gap_ms]
        tracks = [track for track in tracks if reading.ms - track.seen_ms <= gap_ms]
        _follow(tracks, reading)
    return sorted((_spanned(track, end_ms) for track in done + tracks), key=_by_start)


def join_windows(lines: Iterable[Line]) -> list[Line]:
    """Join the stored lines of one video over the cuts between its windows: one text that ends where it goes on.

    The place is not stored, so the text alone decides; the most confident one stands.
    """
    joined: list[Line] = []
    going: dict[str, int] = {}  # by key, the number of the line that has it and may go on
    for line in sorted(lines, key=_by_start):
        going = {key: at for key, at in going.items() if joined[at].end_ms >= line.start_ms - BOUNDARY_MS}
        key = _key(line.text)
        ending = {each: at for each, at in going.items() if _goes_on(joined[at], line)}
        before = next(_alike(ending, key), None)
        if before is None:
            going[key] = len(joined)
            joined.append(line)
        else:
            joined[going[before]] = _both(joined[going[before]], line)
    return joined


def same_text(one: str, other: str) -> bool:
    """Whether two keys are the same but for less than a fifth of their letters; another digit is another text."""
    one, other = one[:MAX_LETTERS], other[:MAX_LETTERS]
    allowed = (max(len(one), len(other)) - 1) // EDITS
    if one == other or allowed < 1:
        return one == other
    apart = Counter(one)
    apart.subtract(other)
    if max(_sum(apart.values(), 1), _sum(apart.values(), -1)) > allowed:
        return False
    return _same_number(one, other) and edits(one, other, allowed) <= allowed


def _same_number(one: str, other: str) -> bool:
    """A code or a clock that goes on is read anew; a digit against a letter is a misreading."""
    pairs = zip(one, other, strict=False) if len(one) == len(other) else ()
    return not any(a != b and a.isdigit() and b.isdigit() for a, b in pairs)


def edits(one: str, other: str, most: int) -> int:
    """Count the letters to insert, delete or replace (Levenshtein 1966); `most` + 1 where they are more than that."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        previous, row = row, [number]
        for column, theirs in enumerate(other, 1):
            row.append(min(previous[column] + 1, row[-1] + 1, previous[column - 1] + (letter != theirs)))
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _follow(tracks: list[_Track], reading: Reading) -> None:
    """Give each line of a reading to its track, or a new one; the others are gone for now."""
    open_tracks = {track.key: track for track in tracks}
    seen: set[int] = set()
    for line in _most_confident(reading.lines):
        key = _key(line.text)
        track = open_tracks.get(key) or next((each for each in tracks if _is(each, line, key)), None)
        if track is None:
            track = _Track(line, line, reading.ms, reading.ms)
            tracks.append(track)
            open_tracks[key] = track
        track.see(line, reading.ms)
        seen.add(id(track))
    for track in tracks:
        if id(track) not in seen and track.gone_ms is None:
            track.gone_ms = reading.ms


def _most_confident(lines: Sequence[Line]) -> list[Line]:
    written = (line for line in lines if _key(line.text))
    return sorted(written, key=lambda line: -line.confidence)[:MAX_LINES]


def _is(track: _Track, line: Line, key: str) -> bool:
    return _same_place(track.first, line) and same_text(track.key, key)


def _same_place(one: Line, other: Line) -> bool:
    """Whether two boxes overlap across and their middles are within one height of each other."""
    if one.box is None or other.box is None:
        return True
    (left, top, right, bottom), (their_left, their_top, their_right, their_bottom) = one.box, other.box
    apart = abs(top + bottom - their_top - their_bottom) / 2
    return apart <= max(bottom - top, their_bottom - their_top) and left <= their_right and their_left <= right


def _spanned(track: _Track, end_ms: int) -> Line:
    end = end_ms if track.gone_ms is None else track.gone_ms
    return replace(track.best, start_ms=track.start_ms, end_ms=max(end, track.seen_ms + 1))


def _alike(keys: Collection[str], key: str) -> Iterator[str]:
    """The same key first, then those of the latest that are the same text."""
    if key in keys:
        yield key
    yield from (other for other in list(keys)[: -MAX_LINES - 1 : -1] if same_text(other, key))


def _goes_on(earlier: Line, line: Line) -> bool:
    return earlier.start_ms < line.start_ms and abs(line.start_ms - earlier.end_ms) <= BOUNDARY_MS


def _both(earlier: Line, line: Line) -> Line:
    best = max(earlier, line, key=lambda each: each.confidence)
    return replace(best, start_ms=earlier.start_ms, end_ms=max(earlier.end_ms, line.end_ms))


def _key(text: str) -> str:
    return "".join(text.casefold().split())


def _sum(counts: Iterable[int], sign: int) -> int:
    return sum(count * sign for count in counts if count * sign > 0)


def _by_start(line: Line) -> tuple[int, int, str]:
    return line.start_ms, line.end_ms, line.text
