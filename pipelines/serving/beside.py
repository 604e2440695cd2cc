"""Models that live in the process that asks them: each loaded once, behind a batcher, let go when nobody needs it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from model_registry.model import AnyModel, ModelRef
from pipelines import predict
from pipelines.serving.batching import Batcher


class Models:
    """The loaded models of one process, by what pins them; for any number of threads."""

    def __init__(self) -> None:
        self._batchers: dict[tuple[ModelRef, str], Batcher] = {}
        self._lock = threading.Lock()

    def get(self, ref: ModelRef, device: str) -> Batcher:
        """Load a model on first use; who asks meanwhile waits for it."""
        with self._lock:
            key = (ref, device)
            if key not in self._batchers:
                self._batchers[key] = Batcher(ref.load(device))
            return self._batchers[key]

    def keep_only(self, refs: Collection[ModelRef]) -> None:
        """Let the others go, when they have answered what they were asked."""
        with self._lock:
            gone = [key for key in self._batchers if key[0] not in refs]
            batchers = [self._batchers.pop(key) for key in gone]
        for batcher in batchers:
            batcher.close()
        predict.loaded.cache_clear()  # what stays is found here again

    def waiting(self) -> dict[str, int]:
        """How many items wait for each model."""
        with self._lock:
            return {batcher.spec.name: batcher.waiting for batcher in self._batchers.values()}


HERE = Models()


@dataclass(frozen=True)
class BesideRef(ModelRef):
    """A pinned model of this process: loading it again gives the one that is loaded."""

    device: str = "cpu"  # whatever device a stage names: who places models knows where the GPU is

    @classmethod
    def of(cls, ref: ModelRef, device: str = "cpu") -> BesideRef:
        """Put a model beside whoever asks it."""
        return cls(ref.name, ref.version, ref.implementation, ref.weights, device)

    @property
    def plain(self) -> ModelRef:
        """What it pins, wherever it runs."""
        return ModelRef(self.name, self.version, self.implementation, self.weights)

    def load(self, device: str = "cpu") -> AnyModel:  # noqa: ARG002
        """Return the batcher in front of the model."""
        return HERE.get(self.plain, self.device)  # type: ignore[return-value]  # it looks like a model
