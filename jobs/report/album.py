"""Pictures of the report, each embedded once however often it is shown."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One picture; `source` is its data where it is shown first and empty where it repeats."""

    key: str
    source: str
    caption: str


class Album:
    """Hands out pictures so that each is embedded once, however many segments and videos show it."""

    def __init__(self) -> None:
        self._keys: dict[bytes, str] = {}

    def picture(self, webp: bytes, caption: str) -> Picture:
        """Return the picture, with its data the first time."""
        digest = hashlib.sha256(webp).digest()
        if digest in self._keys:
            return Picture(self._keys[digest], "", caption)
        self._keys[digest] = key = f"p{len(self._keys) + 1}"
        return Picture(key, "data:image/webp;base64," + base64.b64encode(webp).decode("ascii"), caption)
