"""The journal of attempts: which windows a worker had in hand when it died, kept where the next worker finds it.

Before work a marker is written, afterwards it is removed; a marker whose process is gone is a death. Nothing is forced
onto the disk: a power cut may forget a death, which costs one more.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.faults import Fault, FaultLog, fault_in, recorded
from pipelines.places import Place, listed, make, read_bytes, remove, write_text
from pipelines.processes import lives, started_at

MOST_TAGS = 40  # contents a marker's name can tell; a file's name has 255 bytes
MANY = "many"
STALL_SECONDS = 900.0

WindowId = tuple[str, int]  # content_sha256, window_index


class OpenWindow(NamedTuple):
    """A window that a worker has in hand."""

    content_sha256: str
    window_index: int
    host: str
    since: float  # seconds since 1970


@dataclass(frozen=True)
class Death:
    """A worker died with these windows in hand."""

    windows: tuple[WindowId, ...]
    fault: Fault

    @property
    def alone(self) -> bool:
        """Whether it can only have been this window."""
        return len(self.windows) == 1


@dataclass(frozen=True)
class Marker:
    """These windows are in the hands of this process."""

    windows: tuple[WindowId, ...]
    host: str
    pid: int
    started: float  # of the process, in seconds since 1970: ids come again
    since: float  # seconds since 1970
    faults: str  # path of its log, on its host

    @classmethod
    def here(cls, windows: Iterable[WindowId], faults: Path) -> Marker:
        """This process takes them now."""
        pid = os.getpid()
        return cls(tuple(windows), socket.gethostname(), pid, started_at(pid) or 0.0, time.time(), str(faults))

    @classmethod
    def parse(cls, text: str) -> Marker | None:
        """Read what `to_text` wrote; a torn one is None: whoever died writing it had not begun."""
        try:
            fields = json.loads(text)
            windows = tuple((str(sha256), int(index)) for sha256, index in fields.pop("windows"))
            return cls(windows, started=float(fields.pop("started")), **fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def to_text(self) -> str:
        """Serialise."""
        return json.dumps(asdict(self))

    @property
    def lives(self) -> bool | None:
        """Whether its process still runs; None where nobody here can tell."""
        if self.host != socket.gethostname():
            return None
        return lives(self.pid, self.started)


class Attempts:
    """The journal in one folder, local or remote; workers of any host share it."""

    def __init__(self, folder: Place, stall_seconds: float = STALL_SECONDS) -> None:
        self.folder = folder
        self.stall_seconds = stall_seconds
        self._known: dict[str, Marker] = {}  # by file name: a marker never changes

    @contextmanager
    def working(self, windows: Sequence[WindowId]) -> Iterator[FaultLog]:
        """Keep a marker while this process works on them; it stays only where the process dies."""
        make(self.folder)
        name = f"{_tags(windows)}.{uuid.uuid4().hex}"
        marker, faults = self.folder / f"{name}.json", self._logs / f"nightjar-{name}.log"
        try:
            _write(marker, Marker.here(windows, faults).to_text())
            with recorded(faults, self.stall_seconds) as log:
                yield log
        finally:
            remove(marker)

    def deaths(self, windows: Sequence[WindowId]) -> list[Death]:
        """Return the deaths that these windows were part of, oldest first.

        A process of another host counts as dead: its windows come here only when Ray has lost it.
        """
        wanted = set(windows)
        markers = [marker for marker in self._markers(_tags(windows)) if not wanted.isdisjoint(marker.windows)]
        dead = sorted((marker for marker in markers if not marker.lives), key=_since)
        return [Death(marker.windows, fault_in(Path(marker.faults))) for marker in dead]

    def open_windows(self) -> list[OpenWindow]:
        """Return what is being worked on, oldest first, as far as can be told from here."""
        markers = sorted((marker for marker in self._markers() if marker.lives is not False), key=_since)
        return [OpenWindow(*window, marker.host, marker.since) for marker in markers for window in marker.windows]

    def clear(self) -> None:
        """Forget all of it: for a driver whose workers are gone."""
        for marker in self._markers():
            Path(marker.faults).unlink(missing_ok=True)
        for path in (path for pattern in ("*.json", "*.log") for path in listed(self.folder, pattern)):
            remove(path)

    @property
    def _logs(self) -> Path:
        """Beside the markers, where a shared disk shows them to other hosts; else this host's temporary folder."""
        return self.folder if isinstance(self.folder, Path) else Path(tempfile.gettempdir())

    def _markers(self, tags: str = MANY) -> list[Marker]:
        """Read the markers that may hold windows of these tags, each once however often it is asked for."""
        paths = [path for path in listed(self.folder, "*.json") if _may_share(path.name, tags)]
        known = self._known
        self._known = {path.name: marker for path in paths if (marker := known.get(path.name) or _read(path))}
        return list(self._known.values())


def _since(marker: Marker) -> float:
    return marker.since


def _write(path: Place, text: str) -> None:
    """On a disk without `places.write_text` and its fsync: a marker has to outlive a process, not the machine."""
    if isinstance(path, Path):
        path.write_text(text)
    else:
        write_text(path, text)


def _read(path: Place) -> Marker | None:
    try:
        return Marker.parse(read_bytes(path).decode(errors="replace"))
    except FileNotFoundError:
        return None  # its work has ended since


def _tags(windows: Iterable[WindowId]) -> str:
    """What a file's name tells of its contents, so that a hundred workers need not read each other's markers."""
    tags = {f"{zlib.crc32(sha256.encode()) & 0xFFFF:04x}" for sha256, _ in windows}
    return "-".join(sorted(tags)) if len(tags) <= MOST_TAGS else MANY


def _may_share(name: str, tags: str) -> bool:
    found, wanted = set(name.partition(".")[0].split("-")), set(tags.split("-"))
    return MANY in found | wanted or not found.isdisjoint(wanted)
