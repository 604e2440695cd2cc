"""The log of one run: a JSON object a line, in the night's folder, with no credentials in it."""

from __future__ import annotations

import json
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pipelines.places import Place, make, redacted, write_bytes

FOLDER = "logs"


def stamp(moment: datetime | None = None) -> str:
    """Write a moment, now by default, in UTC with milliseconds."""
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return what JSON can say of a value, URIs without their credentials and queries."""
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(entry) for entry in value]
        case datetime():
            return stamp(value)
        case _:
            return redacted(str(value))


class RunLog:
    """Lines go to a local file at once; for a remote folder they are collected here and `save` uploads them whole."""

    def __init__(self, folder: Place, run: str) -> None:
        self.run = run
        self.path = folder / FOLDER / f"{run}.jsonl"
        self._file: IO[bytes] | None = None
        self._unsaved = False
        self._lock = threading.Lock()

    def write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Add one line; raises OSError where there is no room for it."""
        line = {"time": stamp(), "level": level, "event": event, "run": self.run}
        known = {name: value for name, value in fields.items() if value is not None and name not in line}
        text = json.dumps(plain(line | known), ensure_ascii=True).encode() + b"\n"
        with self._lock:
            file = self._file = self._file or self._opened()
            file.write(text)
            file.flush()
            self._unsaved = True

    def _opened(self) -> IO[bytes]:
        if not isinstance(self.path, Path):
            return tempfile.TemporaryFile(prefix="nightjar-")
        make(self.path.parent)
        return self.path.open("ab")

    def save(self) -> None:
        """Upload what a remote folder has not yet seen; raises OSError or NightjarError where that fails."""
        if self._file is None or not self._unsaved or isinstance(self.path, Path):
            return
        with self._lock:
            self._file.seek(0)
            content = self._file.read()
            self._unsaved = False
        write_bytes(self.path, content)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None
