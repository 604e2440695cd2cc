"""Which checkers of a process need which of its models, so that those go that nobody needs, and no others."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from model_registry.model import ModelRef
from pipelines.serving.beside import HERE, Models


class Keeping:
    """Who needs what, for any number of threads: one checker may be built while another is retired."""

    def __init__(self, models: Models = HERE) -> None:
        self._models = models
        self._needed: list[tuple[object, frozenset[ModelRef]]] = []
        self._lock = threading.Lock()

    @contextmanager
    def building(self, refs: Collection[ModelRef]) -> Iterator[None]:
        """Hold these while a block loads them and says with `keep` who needs them; let them go where it fails."""
        builder = object()
        self.keep(builder, refs)
        try:
            yield
        finally:
            self.let_go(builder)

    def keep(self, who: object, refs: Collection[ModelRef]) -> None:
        """Hold these until `who` is let go."""
        with self._lock:
            self._needed.append((who, frozenset(refs)))

    def let_go(self, who: object) -> None:
        """Let the models go that only `who` needed, when they have answered what they were asked."""
        with self._lock:
            self._needed = [entry for entry in self._needed if entry[0] is not who]
            self._models.keep_only(frozenset().union(*(refs for _, refs in self._needed)))
