"""Where models live: in deployments of their own, or in the process that asks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from model_registry.bundles import PinnedBundle
from model_registry.errors import NightjarError
from model_registry.model import InputKind, ModelRef, ModelSpec
from pipelines.serving.beside import BesideRef
from pipelines.serving.served import ServedRef

CPUS_WORTH_A_HOP = 8  # with fewer a replica a model has less than a core, and a hop costs 1 ms of one


class Placement(StrEnum):
    """How the models of a service lie on the machines."""

    APART = "apart"  # a deployment a model: each has its share of a GPU and grows on its own
    TOGETHER = "together"  # all in the ingress replica: no hop; another replica loads them all again
    AUTO = "auto"

    def on(self, room: Room) -> Placement:
        """Settle what `auto` leaves open: apart where there are GPUs to share out, or many cores."""
        if self is not Placement.AUTO:
            return self
        return Placement.APART if room.gpus or room.cpus >= CPUS_WORTH_A_HOP else Placement.TOGETHER


@dataclass(frozen=True)
class Room:
    """What a cluster has."""

    cpus: float
    gpus: float = 0.0
    memory_bytes: float = float("inf")

    @classmethod
    def of(cls, resources: Mapping[str, float]) -> Room:
        """Read Ray's resources."""
        found = (resources.get("CPU", 1.0), resources.get("GPU", 0.0))
        return cls(*found, resources.get("memory", float("inf")))

    def demand(self, *, cpus: float, memory_bytes: float) -> None:
        """Raise NightjarError where Ray Serve would wait for ever."""
        memory = (memory_bytes / 1e9, self.memory_bytes / 1e9)
        wanted = {"CPUs": (cpus, self.cpus), "GB of memory": memory}
        for name, (needed, found) in wanted.items():
            if needed > found + 1e-9:
                raise NightjarError(f"the service needs {needed:.3g} {name}, the cluster has {found:.3g}")


def lives_apart(spec: ModelSpec, placement: Placement) -> bool:
    """Heads read a vector of 5 kB and take microseconds: they live beside whoever asks, in either placement."""
    return placement is Placement.APART and spec.reads is not InputKind.EMBEDDING


def apart(models: Iterable[ModelSpec], placement: Placement) -> list[ModelSpec]:
    """The models that get deployments, each once."""
    return list({spec.name: spec for spec in models if lives_apart(spec, placement)}.values())


def placed(
    bundle: PinnedBundle, placement: Placement, app: str, *, on_gpu: bool = False, lanes: int = 1
) -> PinnedBundle:
    """Return the same bundle whose models load as what asks a deployment, or as what is loaded here.

    What is loaded here computes in so many lanes on the CPU, and in one on the GPU.
    """

    def place(ref: ModelRef) -> ModelRef:
        if lives_apart(ref.spec, placement):
            return ServedRef.of(ref, app)
        return BesideRef.of(ref, "cuda") if on_gpu and ref.spec.gpus else BesideRef.of(ref, "cpu", lanes)

    return replace(bundle, tower=place(bundle.tower), others=tuple(place(ref) for ref in bundle.others))
