"""One model in a replica of Ray Serve: versions that are asked for, a batcher each, health."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_registry import store
from model_registry.errors import NightjarError
from model_registry.memory import is_out_of_memory
from model_registry.model import ModelRef, ModelSpec
from pipelines.serving.batching import Batcher
from pipelines.serving.contract import Refused
from pipelines.serving.watch import check_running

VERSIONS = 3  # the one that answers, the one that is tried and, while a promotion goes round, the one before or after
HEALTH_S = 2.0  # how soon a dead replica is missed; 10 unless said
TARGET_CALLS = 2  # at a replica, before there is another: a call is a window, and one ingress has few in flight
CALLS_A_BATCH = 4  # in flight for one replica: one full batch works, others wait behind it
LOST = ("cuda error", "cuda failure", "cudnn_status_execution_failed", "cublas_status_execution_failed")


@dataclass(frozen=True)
class Failed:
    """What a model raised, as an answer: an exception that crosses Ray as one comes out wearing another's clothes."""

    error: Exception

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Keep its type and its words where they survive the way."""
        try:
            same = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes
        except Exception:  # noqa: BLE001 there are as many ways not to be pickled as there are libraries
            return cls(NightjarError(f"{type(error).__name__}: {error}"))
        return cls(same)


NO_ROOM = "no room"


class ModelReplica:
    """Answers `predict` for one model. A version is loaded when the replica starts, or when it is first asked for."""

    def __init__(self, ref: ModelRef, device: str, threads: int) -> None:
        self.device = device
        self._batchers: OrderedDict[ModelRef, Batcher] = OrderedDict()
        self._lost: Exception | None = None
        self._loading = asyncio.Lock()
        _use_threads(threads)
        self._batchers[ref] = self._loaded(ref)

    async def load(self, ref: ModelRef) -> str:
        """Have a version ready before it is asked; the error as a sentence, else nothing."""
        try:
            await self._batcher(ref)
        except NightjarError as error:
            return str(error)
        return ""

    async def predict(self, ref: ModelRef, items: Sequence[Any]) -> list[Any] | Failed | str:
        """Return what the model returns, what it raised, or that it has no room."""
        try:
            batcher = await self._batcher(ref)
            return await asyncio.wrap_future(batcher.submit(items))
        except Refused:
            return NO_ROOM
        except Exception as error:  # noqa: BLE001 a model's fault belongs to who asked
            if self.device != "cpu" and is_context_lost(error):
                self._lost = error
            return Failed.of(error)

    def check_health(self) -> None:
        """Raise where the GPU no longer answers or the model hangs; Serve then starts another replica."""
        if self._lost is not None:
            raise self._lost
        check_running(tuple(self._batchers.values()))
        check_gpu()

    async def _batcher(self, ref: ModelRef) -> Batcher:
        if ref not in self._batchers:
            async with self._loading:
                if ref not in self._batchers:
                    self._batchers[ref] = await asyncio.to_thread(self._loaded, ref)
                    await self._let_go_of_the_oldest()
        self._batchers.move_to_end(ref)
        return self._batchers[ref]

    async def _let_go_of_the_oldest(self) -> None:
        while len(self._batchers) > VERSIONS:
            _, oldest = self._batchers.popitem(last=False)
            await asyncio.to_thread(oldest.close)

    def _loaded(self, ref: ModelRef) -> Batcher:
        return Batcher(on_this_node(ref).load(self.device))


def on_this_node(ref: ModelRef) -> ModelRef:
    """The same version with files of this machine: a registered one is fetched, whatever its alias, others are not."""
    if not ref.version.startswith("mlflow-") or all(Path(path).exists() for _, path in ref.weights):
        return ref
    return replace(ref, weights=store.fetched(ref.name, ref.version).weights)


def check_gpu() -> None:
    """Raise where this process uses a GPU that no longer answers."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def is_context_lost(error: Exception) -> bool:
    """Whether nothing will work on the GPU again in this process; a want of memory passes."""
    return not is_out_of_memory(error) and any(words in str(error).lower() for words in LOST)


def replica_options(spec: ModelSpec, *, cpus: float, gpus: float, replicas: tuple[int, int]) -> dict[str, Any]:
    """What Ray Serve is told of a model: its share of the machine, how much may wait, how far it may grow."""
    calls = max(16, CALLS_A_BATCH * spec.max_batch)
    at_least, at_most = replicas
    return {
        "ray_actor_options": {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "memory": spec.memory_mb << 20,
        },
        "max_ongoing_requests": calls,
        "max_queued_requests": calls,
        "autoscaling_config": {
            "min_replicas": at_least,
            "max_replicas": at_most,
            "target_ongoing_requests": TARGET_CALLS,
        },
        "health_check_period_s": HEALTH_S,
        "graceful_shutdown_timeout_s": 20.0,
        "graceful_shutdown_wait_loop_s": 0.2,
    }


def _use_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
