"""What each benchmark has to show: the rows of requirements.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.result import Bounds

REQUIREMENTS = Path(__file__).with_name("requirements.yaml")


def names() -> list[str]:
    """Every benchmark that has a requirement."""
    return list(yaml.safe_load(REQUIREMENTS.read_text("utf-8")))


def requirements(name: str) -> list[dict[str, Any]]:
    """The rows of one benchmark, as they are written."""
    rows: list[dict[str, Any]] = yaml.safe_load(REQUIREMENTS.read_text("utf-8"))[name]
    return rows


def bounds_of(name: str) -> list[Bounds]:
    """The same, checked."""
    return [Bounds(**row) for row in requirements(name)]
