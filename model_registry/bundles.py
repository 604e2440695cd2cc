"""A bundle: a named, versioned set of models that `recall`, `scan` and `serve` run and every verdict names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from model_registry import store
from model_registry.artifacts import artifact, fetch, present
from model_registry.catalog import model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.model import InputKind, ModelRef, ModelSpec


@dataclass(frozen=True)
class Bundle:
    """Names only: which models, and how large the frames are that they share."""

    name: str
    version: str
    tower: str
    frame_models: tuple[str, ...] = ()  # read frames beside the tower
    heads: tuple[str, ...] = ()  # read the tower's embedding
    frame_side: int = 256  # pixels of a decoded frame's shorter side

    def __post_init__(self) -> None:
        """Refuse a head whose tower is another one."""
        for name in self.heads:
            if (reads := model_class(name).spec.tower) != self.tower:
                raise ValueError(f"bundle {self.name}: head {name} reads {reads!r}, the tower is {self.tower!r}")

    @property
    def models(self) -> tuple[str, ...]:
        """Every model, tower first."""
        return (self.tower, *self.frame_models, *self.heads)

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """Their specs, in the same order."""
        return tuple(model_class(name).spec for name in self.models)


def lite() -> Bundle:
    """The embedded default: nothing but package registries, runs on a CPU."""
    return Bundle("lite", "1", "efficientnet_lite0", frame_models=("open_nsfw",), heads=("imagenet_weapons",))


def clip_b32() -> Bundle:
    """One small GPU, or a CPU."""
    heads = ("laion_nudity_vit_b_32", "laion_violence_vit_b_32", "zero_shot_vit_b_32")
    return Bundle("clip-b32", "1", "clip_vit_b_32", heads=heads, frame_side=224)


def clip_l14() -> Bundle:
    """Production on GPU."""
    heads = ("laion_nudity_vit_l_14", "laion_violence_vit_l_14", "zero_shot_vit_l_14")
    return Bundle("clip-l14", "1", "clip_vit_l_14", heads=heads, frame_side=224)


BUNDLES = {bundle.name: bundle for bundle in (lite(), clip_b32(), clip_l14())}


def bundle_named(name: str) -> Bundle:
    """Return a bundle, or say which there are."""
    if name not in BUNDLES:
        raise UsageError(f"there is no bundle {name!r}; allowed: {', '.join(BUNDLES)}")
    return BUNDLES[name]


@dataclass(frozen=True)
class PinnedBundle:
    """A bundle whose every model is one version with its files: resolved once, on the driver."""

    name: str
    version: str
    frame_side: int
    tower: ModelRef
    others: tuple[ModelRef, ...] = field(default=())  # frame models, then heads

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Every pinned model, tower first."""
        return (self.tower, *self.others)

    @property
    def frame_models(self) -> tuple[ModelRef, ...]:
        """Those that read frames beside the tower."""
        return tuple(ref for ref in self.others if ref.spec.reads is InputKind.FRAME)

    @property
    def heads(self) -> tuple[ModelRef, ...]:
        """Those that read the tower's embedding."""
        return tuple(ref for ref in self.others if ref.spec.reads is InputKind.EMBEDDING)

    @property
    def id(self) -> str:
        """`name@version+digest`; the digest changes with any model's version and with the frame size."""
        pinned = "\n".join([*(ref.source for ref in self.models), str(self.frame_side)])
        return f"{self.name}@{self.version}+{hashlib.sha256(pinned.encode()).hexdigest()[:8]}"


def pin(bundle: Bundle, alias: str = "champion", *, download: bool = True) -> PinnedBundle:
    """Resolve every model of a bundle to one version and local files.

    A version that the MLflow registry holds under `alias` wins, then its champion, then the one built in: a
    challenger is tried beside the champions of the others. With `download=False` nothing is fetched and an absent
    file is an error that says how to get it.
    """
    refs = [pin_model(name, alias, download=download) for name in bundle.models]
    return PinnedBundle(bundle.name, bundle.version, bundle.frame_side, refs[0], tuple(refs[1:]))


def pin_model(name: str, alias: str = "champion", *, download: bool = True) -> ModelRef:
    """Resolve one model to a version and local files."""
    model = model_class(name)
    implementation = f"{model.__module__}:{model.__qualname__}"
    for tried in dict.fromkeys((alias, "champion")):
        if registered := store.resolve(name, tried):
            _check_rows(model.spec, registered)
            return ModelRef(name, registered.version, implementation, registered.weights)
    weights = tuple((row, str(_local(row, download=download))) for row in model.spec.artifacts)
    return ModelRef(name, model.spec.version, implementation, weights)


def _check_rows(spec: ModelSpec, registered: store.RegisteredVersion) -> None:
    """A version may be older than the model's code, or made by other hands."""
    if (found := {row for row, _ in registered.weights}) != set(spec.artifacts):
        held = ", ".join(sorted(found)) or "none"
        raise NightjarError(
            f"version {registered.version} of model {spec.name} holds the artifacts {held}; "
            f"the model loads {', '.join(spec.artifacts)}"
        )


def _local(name: str, *, download: bool) -> Path:
    wanted = artifact(name)
    if download:
        return fetch(wanted)
    if path := present(wanted):
        return path
    bundles = ", ".join(bundle.name for bundle in BUNDLES.values() if name in needed(bundle.models))
    raise NightjarError(f"artifact {name} is not on this machine; `nightjar models pull` brings it (bundle {bundles})")


def needed(models: Iterable[str]) -> list[str]:
    """Return the artifacts that these models load, each once."""
    return list(dict.fromkeys(row for name in models for row in model_class(name).spec.artifacts))
