"""CTranslate2's Whisper weights as transformers names them: the same network in two engines.

`model.bin` is a version, a name, a revision and then each variable: name, shape, type, bytes; little-endian
(ctranslate2.specs.model_spec). Query, key and value lie there in one matrix; keys have no bias.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
NORM = {"weight": "gamma", "bias": "beta"}
PLAIN = {"weight": "weight", "bias": "bias"}


def read_variables(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        _number(file, "I")
        _text(file)
        _number(file, "I")
        return dict(_variable(file) for _ in range(_number(file, "I")))


def _variable(file: BinaryIO) -> tuple[str, np.ndarray]:
    name = _text(file)
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    kind = TYPES[_number(file, "B")]
    return name, np.frombuffer(file.read(_number(file, "I")), kind).reshape(shape)


def _number(file: BinaryIO, kind: str) -> int:
    return struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0]


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()


def state_dict(variables: dict[str, np.ndarray], layers: int) -> dict[str, Any]:
    """Return float32 tensors for a `WhisperForConditionalGeneration`; its last projection is the embedding."""
    found: dict[str, np.ndarray] = {}

    def take(target: str, source: str, names: dict[str, str] = PLAIN) -> None:
        found.update({f"{target}.{ours}": variables[f"{source}/{theirs}"] for ours, theirs in names.items()})

    def split(targets: list[str], source: str) -> None:
        for name in PLAIN:
            parts = np.split(variables[f"{source}/{name}"], len(targets))
            found.update({f"{target}.{name}": part for target, part in zip(targets, parts, strict=True)})

    for side in ("encoder", "decoder"):
        for layer in range(layers):
            ours, theirs = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            split([f"{ours}.self_attn.{part}_proj" for part in "qkv"], f"{theirs}/self_attention/linear_0")
            take(f"{ours}.self_attn.out_proj", f"{theirs}/self_attention/linear_1")
            take(f"{ours}.self_attn_layer_norm", f"{theirs}/self_attention/layer_norm", NORM)
            if side == "decoder":
                take(f"{ours}.encoder_attn.q_proj", f"{theirs}/attention/linear_0")
                split([f"{ours}.encoder_attn.{part}_proj" for part in "kv"], f"{theirs}/attention/linear_1")
                take(f"{ours}.encoder_attn.out_proj", f"{theirs}/attention/linear_2")
                take(f"{ours}.encoder_attn_layer_norm", f"{theirs}/attention/layer_norm", NORM)
            take(f"{ours}.fc1", f"{theirs}/ffn/linear_0")
            take(f"{ours}.fc2", f"{theirs}/ffn/linear_1")
            take(f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm", NORM)
        take(f"model.{side}.layer_norm", f"{side}/layer_norm", NORM)
        found[f"model.{side}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
    for number in (1, 2):
        take(f"model.encoder.conv{number}", f"encoder/conv{number}")
    found["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    found["proj_out.weight"] = variables["decoder/embeddings/weight"]
    return _tensors({name: value for name, value in found.items() if not name.endswith("k_proj.bias")})


def _tensors(values: dict[str, np.ndarray]) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in values.items()}
