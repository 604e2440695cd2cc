"""What a TOML table may hold: every key known, every value of its kind, or one sentence that says otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """What one key may hold."""

    words: str  # after "wanted"
    fits: Callable[[Any], bool]
    required: bool = False


def hold_to(kinds: Mapping[str, Kind], row: Mapping[str, object], where: str) -> None:
    """Raise UsageError for a key that nobody knows, one that is missing, and a value of another kind."""
    if unknown := sorted(set(row) - set(kinds)):
        raise UsageError(f"{where} has {', '.join(map(repr, unknown))}; allowed: {', '.join(kinds)}")
    for name, kind in kinds.items():
        if name not in row and kind.required:
            raise UsageError(f"{where} lacks {name}, wanted {kind.words}")
        if name in row and not kind.fits(row[name]):
            raise UsageError(f"{where}: {name} is {row[name]!r}, wanted {kind.words}")


def is_text(value: object) -> bool:
    """Some text, not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_name(value: object) -> bool:
    """A text that can be part of a file's name."""
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None


def is_whole(value: object) -> bool:
    """A whole number; in Python true and false are numbers, here they are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """A number, whole or not."""
    return isinstance(value, float) or is_whole(value)


def is_pair(value: object) -> bool:
    """Two numbers."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def is_tables(value: object) -> bool:
    """What [[name]] makes."""
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def one_of(allowed: Iterable[str], *, required: bool = False) -> Kind:
    """One of these texts."""
    names = tuple(allowed)
    return Kind(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names, required)


def some_of(allowed: Iterable[str]) -> Kind:
    """A list of some of these texts."""
    names = tuple(allowed)

    def fits(value: object) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(x, str) and x in names for x in value)

    return Kind(f"a list of {', '.join(names)}", fits)
