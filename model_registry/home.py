"""Where Nightjar keeps what it fetched and registered on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$NIGHTJAR_HOME`, else `~/.nightjar`; absolute, because workers start in other folders."""
    return Path(os.environ.get("NIGHTJAR_HOME") or "~/.nightjar").expanduser().absolute()
