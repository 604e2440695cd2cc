"""Models that live in the process that asks them: each loaded once, behind a batcher, let go when nobody needs it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from model_registry.model import AnyModel, InputKind, ModelRef
from pipelines import predict
from pipelines.serving.batching import Batcher
from pipelines.serving.watch import check_running


class Models:
    """The loaded models of one process, by what pins them; for any number of threads."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[ModelRef, str], AnyModel | Batcher] = {}
        self._lock = threading.Lock()

    def get(self, ref: ModelRef, device: str, lanes: int = 1) -> AnyModel | Batcher:
        """Load a model on first use, to compute in so many lanes; who asks meanwhile waits for it.

        A head takes less time than the way to another thread: whoever asks runs it.
        """
        with self._lock:
            key = (ref, device)
            if key not in self._loaded:
                model = ref.load(device)
                head = ref.spec.reads is InputKind.EMBEDDING
                self._loaded[key] = model if head else Batcher(model, lanes=lanes)
            return self._loaded[key]

    def keep_only(self, refs: Collection[ModelRef]) -> None:
        """Let the others go, when they have answered what they were asked."""
        with self._lock:
            gone = [self._loaded.pop(key) for key in list(self._loaded) if key[0] not in refs]
        for model in gone:
            if isinstance(model, Batcher):
                model.close()
        predict.loaded.cache_clear()  # what stays is found here again

    def check_running(self) -> None:
        """Raise Hung where a model hangs; does not wait for the lock, which is held while a model loads."""
        loaded = tuple(self._loaded.values())
        check_running(model for model in loaded if isinstance(model, Batcher))

    def waiting(self) -> dict[str, int]:
        """How many items wait for each model."""
        with self._lock:
            batchers = [model for model in self._loaded.values() if isinstance(model, Batcher)]
        return {batcher.spec.name: batcher.waiting for batcher in batchers}


HERE = Models()


@dataclass(frozen=True)
class BesideRef(ModelRef):
    """A pinned model of this process: loading it again gives the one that is loaded."""

    device: str = "cpu"  # whatever device a stage names: who places models knows where the GPU is
    lanes: int = 1

    @classmethod
    def of(cls, ref: ModelRef, device: str = "cpu", lanes: int = 1) -> BesideRef:
        """Put a model beside whoever asks it."""
        return cls(ref.name, ref.version, ref.implementation, ref.weights, device, lanes)

    @property
    def plain(self) -> ModelRef:
        """What it pins, wherever it runs."""
        return ModelRef(self.name, self.version, self.implementation, self.weights)

    def load(self, device: str = "cpu") -> AnyModel:  # noqa: ARG002
        """Return the batcher in front of the model, or a head itself."""
        return HERE.get(self.plain, self.device, self.lanes)  # type: ignore[return-value]  # it looks like a model
