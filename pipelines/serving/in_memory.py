"""What was seen of one upload and what was read of it, held in memory in the shapes of a night's folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.pieces import KINDS, OWNER, Content, Pieces
from pipelines.rows import ErrorCode
from pipelines.text.readings import Reader, Readings

NO_CONTENT = ""  # of an upload without a file
EMPTY = {kind: pa.schema([*OWNER, *struct]).empty_table() for kind, struct in KINDS.items()}


class HeldPieces(Pieces):
    """One content, wholly looked at, as `Pieces` would read it from a folder."""

    def __init__(self, sha256: str, windows: Sequence[pa.Table]) -> None:
        """Take every window in order, one row each, with as many of the kinds as were looked for."""
        self.sha256, self.windows = sha256, windows
        self.contents = {sha256: _content(windows)}

    @property
    def content(self) -> Content:
        """The only one."""
        return self.contents[self.sha256]

    def failed(self, code: ErrorCode, message: str) -> None:
        """Note that something could not be looked for; an error that is known already stays the first."""
        known = self.content
        both = f"{known.error_message}; {message}" if known.error_code else message
        self.contents[self.sha256] = replace(known, error_code=known.error_code or code.value, error_message=both)

    def rows(self, kind: str, contents: Iterable[str]) -> pa.Table:
        """Return the rows of one kind, none for what was not looked for."""
        if self.sha256 not in set(contents):
            return EMPTY[kind]
        found = [self._rows_of(kind, window) for window in self.windows if _holds(window, kind)]
        return pa.concat_tables(found) if found else EMPTY[kind]

    def _rows_of(self, kind: str, window: pa.Table) -> pa.Table:
        structs = window[kind].chunk(0).flatten()
        index = pa.array([window["window_index"][0].as_py()] * len(structs), pa.int32())
        owners = {"content_sha256": pa.array([self.sha256] * len(structs), pa.string()), "window_index": index}
        return pa.table({**owners, **{name: structs.field(name) for name in KINDS[kind].names}})


class HeldReadings(Readings):
    """The readings of one upload's texts; nobody writes them down."""

    def __init__(self, reader: Reader, table: pa.Table | None = None) -> None:
        """Take READINGS."""
        self._read, self._found, self.reader = set(), {}, reader
        if table is not None:
            self._take(table)

    def write(self, table: pa.Table) -> None:
        """Add READINGS."""
        self._take(table)


def _holds(window: pa.Table, kind: str) -> bool:
    return kind in window.column_names and bool(pc.list_value_length(window[kind])[0].as_py())


def _content(windows: Sequence[pa.Table]) -> Content:
    """A content ended as its last window did, unless an earlier one could not be examined; none has nothing wrong."""
    if not windows:
        return Content(0, None, None, 1, ())
    ends = [(window["error_code"][0].as_py(), window["error_message"][0].as_py()) for window in windows]
    code, message = next((end for end in (ends[-1], *ends) if end[0]), (None, None))
    return Content(windows[-1]["duration_ms"][0].as_py() or 0, code, message, 1, ("",) * len(windows))
