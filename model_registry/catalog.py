"""Every model there is: one line a model. Specs can be read here without loading any weights."""

from __future__ import annotations

from model_registry.errors import UsageError
from model_registry.model import AnyModel
from model_registry.models.clip import ClipViTB32, ClipViTL14
from model_registry.models.clip_heads import NudityViTB32, NudityViTL14, ViolenceViTB32, ViolenceViTL14
from model_registry.models.efficientnet import EfficientNetLite0
from model_registry.models.imagenet_weapons import ImageNetWeapons
from model_registry.models.ocr.rapid_ocr import RapidOcr
from model_registry.models.open_nsfw import OpenNSFW
from model_registry.models.speech.speaker import SpeakerGE2E
from model_registry.models.speech.voice_activity import SileroVad
from model_registry.models.speech.whisper_ct2 import FasterWhisperBase, FasterWhisperLargeV3Turbo
from model_registry.models.speech.whisper_transformers import TransformersWhisper
from model_registry.models.text.heads import TextHeads
from model_registry.models.text.ngram_heads import NgramHeads
from model_registry.models.text.sentences import UniversalSentences
from model_registry.models.zero_shot import ZeroShotViTB32, ZeroShotViTL14

MODELS: tuple[type[AnyModel], ...] = (
    EfficientNetLite0,
    OpenNSFW,
    ImageNetWeapons,
    ClipViTB32,
    NudityViTB32,
    ViolenceViTB32,
    ZeroShotViTB32,
    ClipViTL14,
    NudityViTL14,
    ViolenceViTL14,
    ZeroShotViTL14,
    SpeakerGE2E,
    SileroVad,
    FasterWhisperBase,
    FasterWhisperLargeV3Turbo,
    TransformersWhisper,
    UniversalSentences,
    TextHeads,
    NgramHeads,
    RapidOcr,
)
CATALOG: dict[str, type[AnyModel]] = {model.spec.name: model for model in MODELS}


def model_class(name: str) -> type[AnyModel]:
    """Return the class of a model, or say which names there are."""
    if name not in CATALOG:
        raise UsageError(f"there is no model {name!r}; the catalog has {', '.join(CATALOG)}")
    return CATALOG[name]
