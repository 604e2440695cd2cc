"""How much the door lets in, in plain values that a config file holds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from model_registry.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """Past any of these a request is refused with a reason."""

    keys: Path | None = None  # who may call; None: whoever reaches the address
    shared: Path | None = None  # where the replicas of one machine count rates together; None: each for itself
    allow: tuple[str, ...] = ()  # URIs that a request may name, as pipelines/serving/http/allowlist.py reads them
    most_bytes: int = 256 << 20  # of a body
    most_json_bytes: int = 32 << 20  # of a body of JSON, which is held in memory
    most_held_bytes: int = 1 << 30  # of all bodies that one replica reads or answers at once
    most_characters: int = 50_000  # of a title and a description together
    most_texts: int = 64  # of one moderation
    most_in_flight: int = 256  # requests with a body that one replica reads or answers at once
    body_s: float = 30.0  # until a body has to be whole
    deadline_s: float = 60.0  # for an answer, where the caller names no other
    longest_deadline_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what lets nobody in; lists of a config file become tuples."""
        object.__setattr__(self, "allow", tuple(self.allow))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value <= 0:
                raise UsageError(f"the door's {field.name} is {value:g}, must be more than 0")
