"""A bundle: a named, versioned set of models that `recall`, `scan` and `serve` run and every verdict names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from model_registry import store
from model_registry.artifacts import artifact, fetch, present
from model_registry.catalog import model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.model import InputKind, ModelRef, ModelSpec, OutputKind

ROLES = {"speech": ("voice_activity", "speech", "speaker"), "ocr": ("ocr",), "text": ("text_tower", "text_heads")}


@dataclass(frozen=True)
class Bundle:
    """Names only: which models, and how large the frames are that they share."""

    name: str
    version: str
    tower: str
    frame_models: tuple[str, ...] = ()  # read frames beside the tower
    heads: tuple[str, ...] = ()  # read the tower's embedding
    voice_activity: str = ""  # finds speech in sound
    speech: str = ""  # writes down what is said
    speaker: str = ""  # tells voices apart
    ocr: str = ""  # reads what is shown
    text_tower: str = ""
    text_heads: tuple[str, ...] = ()  # read the text tower's embedding, or the text itself
    frame_side: int = 256  # pixels of a decoded frame's shorter side

    def __post_init__(self) -> None:
        """Refuse a head whose tower is another one."""
        for tower, heads in ((self.tower, self.heads), (self.text_tower, self.text_heads)):
            for spec in (model_class(name).spec for name in heads):
                if spec.tower != tower and not (heads is self.text_heads and spec.reads is InputKind.TEXT):
                    raise ValueError(
                        f"bundle {self.name}: head {spec.name} reads {spec.tower!r}, the tower is {tower!r}"
                    )
        if bool(self.speech) != bool(self.voice_activity):
            raise ValueError(f"bundle {self.name}: give both a speech model and voice activity, or neither")

    def without(self, *roles: str) -> Bundle:
        """Leave out what listens ("speech"), reads ("ocr") or understands ("text")."""
        gone: dict[str, Any] = {}
        for role in roles:
            gone |= {name: type(getattr(self, name))() for name in ROLES[role]}
        return replace(self, **gone)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model, tower first."""
        of_text = (self.voice_activity, self.speech, self.speaker, self.ocr, self.text_tower)
        return (self.tower, *self.frame_models, *self.heads, *filter(None, of_text), *self.text_heads)

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """Their specs, in the same order."""
        return tuple(model_class(name).spec for name in self.models)


def _words(speech: str) -> dict[str, Any]:
    """What every bundle listens, reads and understands with."""
    return {
        "voice_activity": "silero_vad",
        "speech": speech,
        "speaker": "speaker_ge2e",
        "ocr": "rapid_ocr",
        "text_tower": "universal_sentences",
        "text_heads": ("text_heads_universal", "text_heads_ngrams"),
    }


def lite() -> Bundle:
    """The embedded default: nothing but package registries, runs on a CPU."""
    words = _words("whisper_base_ct2")
    return Bundle("lite", "2", "efficientnet_lite0", frame_models=("open_nsfw",), heads=("imagenet_weapons",), **words)


def clip_b32() -> Bundle:
    """One small GPU, or a CPU."""
    heads = ("laion_nudity_vit_b_32", "laion_violence_vit_b_32", "zero_shot_vit_b_32")
    return Bundle("clip-b32", "2", "clip_vit_b_32", heads=heads, frame_side=224, **_words("whisper_base_ct2"))


def clip_l14() -> Bundle:
    """Production on GPU."""
    heads = ("laion_nudity_vit_l_14", "laion_violence_vit_l_14", "zero_shot_vit_l_14")
    words = _words("whisper_large_v3_turbo_ct2")
    return Bundle("clip-l14", "2", "clip_vit_l_14", heads=heads, frame_side=224, **words)


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
    others: tuple[ModelRef, ...] = field(default=())  # each finds its place by its spec

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Every pinned model, tower first."""
        return (self.tower, *self.others)

    @property
    def frame_models(self) -> tuple[ModelRef, ...]:
        """Those that score frames beside the tower."""
        return self._those(lambda spec: spec.reads is InputKind.FRAME and bool(spec.labels))

    @property
    def heads(self) -> tuple[ModelRef, ...]:
        """Those that read the tower's embedding."""
        return self._those(lambda spec: spec.tower == self.tower.name)

    @property
    def voice_activity(self) -> ModelRef | None:
        """What finds speech in sound."""
        return self._one(lambda spec: spec.writes is OutputKind.SPANS)

    @property
    def speech(self) -> ModelRef | None:
        """What writes down speech."""
        return self._one(lambda spec: spec.reads is InputKind.SOUND and spec.writes is OutputKind.LINES)

    @property
    def speaker(self) -> ModelRef | None:
        """What tells voices apart."""
        return self._one(lambda spec: spec.reads is InputKind.SOUND and bool(spec.embedding_dim))

    @property
    def ocr(self) -> ModelRef | None:
        """What reads frames."""
        return self._one(lambda spec: spec.reads is InputKind.FRAME and spec.writes is OutputKind.LINES)

    @property
    def text_tower(self) -> ModelRef | None:
        """What embeds text."""
        return self._one(lambda spec: spec.reads is InputKind.TEXT and bool(spec.embedding_dim))

    @property
    def text_heads(self) -> tuple[ModelRef, ...]:
        """Those that read the text tower's embedding, and those that read the text itself."""
        tower = self.text_tower
        reads_text = self._those(lambda spec: spec.reads is InputKind.TEXT and not spec.embedding_dim)
        return (*self._those(lambda spec: tower is not None and spec.tower == tower.name), *reads_text)

    def _those(self, fits: Callable[[ModelSpec], bool]) -> tuple[ModelRef, ...]:
        return tuple(ref for ref in self.others if fits(ref.spec))

    def _one(self, fits: Callable[[ModelSpec], bool]) -> ModelRef | None:
        return next(iter(self._those(fits)), None)

    @property
    def id(self) -> str:
        """`name@version+digest`; the digest changes with any model's version and with the frame size."""
        return self._id(self.models)

    @property
    def features_id(self) -> str:
        """The same for what looks and listens: other text models read what is kept, and decode nothing again."""
        understands = {self.text_tower, *self.text_heads}
        return self._id(tuple(ref for ref in self.models if ref not in understands))

    def _id(self, refs: tuple[ModelRef, ...]) -> str:
        pinned = "\n".join([*(ref.source for ref in refs), str(self.frame_side)])
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
