"""Every model there is: one line a model. Specs can be read here without loading any weights."""

from __future__ import annotations

from model_registry.errors import UsageError
from model_registry.model import Model
from model_registry.models.clip import ClipViTB32, ClipViTL14
from model_registry.models.clip_heads import NudityViTB32, NudityViTL14, ViolenceViTB32, ViolenceViTL14
from model_registry.models.efficientnet import EfficientNetLite0
from model_registry.models.imagenet_weapons import ImageNetWeapons
from model_registry.models.open_nsfw import OpenNSFW
from model_registry.models.zero_shot import ZeroShotViTB32, ZeroShotViTL14

MODELS: tuple[type[Model], ...] = (
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
)
CATALOG: dict[str, type[Model]] = {model.spec.name: model for model in MODELS}


def model_class(name: str) -> type[Model]:
    """Return the class of a model, or say which names there are."""
    if name not in CATALOG:
        raise UsageError(f"there is no model {name!r}; the catalog has {', '.join(CATALOG)}")
    return CATALOG[name]
