"""A model behind a deployment of Ray Serve that passes for a model of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from model_registry.errors import NightjarError
from model_registry.model import AnyModel, ModelRef, ModelSpec
from pipelines.serving.contract import Refused, no_room
from pipelines.serving.replica import NO_ROOM, Failed

INLINE_BYTES = 1 << 20  # more goes through the object store; gRPC carries up to 4 MB, and this in half of the time
TRIES = 3
PAUSE_S = 0.2  # before asking again: the router learns meanwhile that a replica is gone
AGAIN_WITHIN_S = 30.0  # a replica that dies later may have died of this call: that is not brought to the next one
CALL_S = 120.0  # a batch takes seconds at most; loading a version that was promoted a moment ago, longer
LOAD_S = 600.0


@dataclass(frozen=True)
class ServedRef(ModelRef):
    """A pinned model whose weights live in the replicas of a deployment of the same name."""

    app: str = ""

    @classmethod
    def of(cls, ref: ModelRef, app: str) -> ServedRef:
        """Ask the deployment of this app."""
        return cls(ref.name, ref.version, ref.implementation, ref.weights, app)

    @property
    def plain(self) -> ModelRef:
        """What it pins, wherever it runs."""
        return ModelRef(self.name, self.version, self.implementation, self.weights)

    def load(self, device: str = "cpu") -> AnyModel:  # noqa: ARG002 the replicas know theirs
        """Return what asks; loads nothing."""
        return Served(self)  # type: ignore[return-value]  # it looks like a model


class Served:
    """Looks like a model; `predict` blocks its thread, and is never called from an event loop."""

    def __init__(self, ref: ServedRef) -> None:
        self.ref, self._plain = ref, ref.plain

    @property
    def spec(self) -> ModelSpec:
        """The model's."""
        return self.ref.spec

    def examples(self) -> list[Any]:
        """The model's."""
        return self.ref.model_class.examples()

    def predict(self, batch: Sequence[Any]) -> list[Any]:
        """Return what a replica returns, or raise what it raised.

        A replica that died is one of several: another is asked, twice at most. Refused where none has room, or none
        answers.
        """
        began = time.monotonic()
        for left in reversed(range(TRIES)):
            try:
                return _result(self.spec.name, self._ask(batch))
            except _lost_replica() as error:
                if not left or time.monotonic() - began > AGAIN_WITHIN_S:
                    raise _unavailable(self.spec.name) from error
                time.sleep(PAUSE_S)
        raise AssertionError

    def ready(self) -> None:
        """Load this version on every replica that there is, once there is one; NightjarError says why one cannot."""
        handle = _handle(self.ref.app, self.ref.name, False)
        first = handle.load.remote(self._plain).result(timeout_s=LOAD_S)
        said = [first, *handle.broadcast("load", self._plain).results(timeout_s=LOAD_S)]
        if errors := [sentence for sentence in said if sentence]:
            raise NightjarError(errors[0])

    def _ask(self, batch: Sequence[Any]) -> Any:
        from ray.serve.exceptions import BackPressureError

        items, by_reference = sent(batch)
        try:
            answer = _handle(self.ref.app, self.ref.name, by_reference).predict.remote(self._plain, items)
            return answer.result(timeout_s=CALL_S)
        except BackPressureError as error:
            raise no_room(f"model {self.spec.name}") from error
        except TimeoutError as error:
            raise _unavailable(self.spec.name) from error


def _result(name: str, answer: Any) -> list[Any]:
    if isinstance(answer, Failed):
        raise answer.error
    if isinstance(answer, str) and answer == NO_ROOM:
        raise no_room(f"model {name}")
    results: list[Any] = answer
    return results


def _unavailable(name: str) -> Refused:
    return Refused(503, "model_unavailable", f"no replica of model {name} answers; try again", retry_after_s=2.0)


@cache
def _handle(app: str, deployment: str, by_reference: bool) -> Any:
    """A handle a process. What is sent in line goes by gRPC: half the time and CPU of an actor call."""
    return handle_of(app, deployment).options(_by_reference=by_reference)


def handle_of(app: str, deployment: str) -> Any:
    """A handle for threads that run no event loop, whatever Ray Serve's switches say."""
    from ray import serve

    handle = serve.get_deployment_handle(deployment, app)
    if not handle.is_initialized:  # Ray Serve keeps handles
        handle._init(_run_router_in_separate_loop=True)
    return handle


@cache
def _lost_replica() -> tuple[type[Exception], ...]:
    """How the death of a replica shows: as an actor's (also where gRPC was cut off), or as a deployment without any."""
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import DeploymentUnavailableError

    return (RayActorError, DeploymentUnavailableError)


_put = threading.local()


def sent(batch: Sequence[Any]) -> tuple[Any, bool]:
    """Return what goes to the replica, and whether by reference.

    Frames that two models read one after the other are put into the object store once: a thread remembers its last.
    """
    if sum(getattr(item, "nbytes", len(item)) for item in batch) <= INLINE_BYTES:
        return list(batch), False
    import ray

    last = getattr(_put, "last", None)
    if last is None or not _same(last[0], batch):
        last = _put.last = (list(batch), ray.put([np.ascontiguousarray(item) for item in batch]))
    return last[1], True


def _same(before: Sequence[Any], batch: Sequence[Any]) -> bool:
    """Whether both are the same memory; `before` keeps it from being used for something else."""
    return len(before) == len(batch) and all(
        one is other or _place(one) == _place(other) for one, other in zip(before, batch, strict=True)
    )


def _place(item: Any) -> object:
    return (item.__array_interface__["data"][0], item.shape, item.strides, item.dtype)
