"""A CLIP of two thin layers with random weights, saved in the forms that real ones come in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

from model_registry import store
from model_registry.bundles import PinnedBundle, bundle_named, pin

CLIP_ROW = "clip-vit-b-32-openai"


def config(dimensions: int) -> dict[str, Any]:
    """An open_clip configuration: 32 x 32 pixels in 4 patches; OpenAI's activation and vocabulary."""
    return {
        "embed_dim": dimensions,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }


def tiny_clip(dimensions: int) -> Any:
    """Return an open_clip model; the same weights each time."""
    import torch
    from open_clip import CLIP

    with torch.random.fork_rng():
        torch.manual_seed(7)
        return CLIP(**config(dimensions)).eval()


def write_clip_folder(folder: Path, dimensions: int, preprocess: dict[str, Any] | None = None) -> Path:
    """Write `open_clip_config.json` and `open_clip_model.safetensors`, as open_clip pushes them to a hub."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    about = {"model_cfg": config(dimensions), "preprocess_cfg": preprocess or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(about), "utf-8")
    save_file(tiny_clip(dimensions).state_dict(), folder / "open_clip_model.safetensors")
    return folder


def pin_clip_b32(folder: Path) -> PinnedBundle:
    """Register a small checkpoint as champion of both models that load one, in a home of its own; pin the bundle."""
    checkpoint = write_clip_folder(folder / "checkpoint", 512)
    with mock.patch.dict(os.environ, {"NIGHTJAR_HOME": str(folder / "home")}):
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        for name in ("clip_vit_b_32", "zero_shot_vit_b_32"):
            store.register(name, {CLIP_ROW: checkpoint}, "champion")
        return pin(bundle_named("clip-b32").without("speech", "ocr", "text"), download=False)


def write_openai_file(path: Path, dimensions: int) -> Path:
    """Write the weights as OpenAI did: half precision, in a TorchScript archive with three numbers more."""
    import torch

    root = torch.nn.Module()
    root.forward = _unchanged  # a script module needs one
    for name, tensor in tiny_clip(dimensions).half().state_dict().items():
        *parents, last = name.split(".")
        module = root
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, torch.nn.Module())
            module = getattr(module, parent)
        module.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
    for name, value in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 49408)):
        root.register_buffer(name, torch.tensor(value))
    torch.jit.script(root).save(str(path))
    return path


def _unchanged(x: Any) -> Any:
    return x
