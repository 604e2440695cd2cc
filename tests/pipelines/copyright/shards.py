"""Shards that go wrong. Ray's workers import this file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.match import Found
from pipelines.copyright.night import ShardActor


class DyingOnce(ShardActor):
    """Ends its process in the middle of its first batch, and leaves a file `died` beside the bank."""

    def __init__(self, bank: Path, references: Sequence[tuple[int, str]], device: str) -> None:
        super().__init__(bank, references, device)
        self.died = bank.parent / "died"

    def find(self, uploads: Sequence[tuple[int, Fingerprint]]) -> Found:
        if not self.died.exists():
            self.died.touch()
            os._exit(1)
        return super().find(uploads)


class Failing(ShardActor):
    """Raises, as a bad program does."""

    def find(self, uploads: Sequence[tuple[int, Fingerprint]]) -> Found:
        raise RuntimeError("the shard fails")
