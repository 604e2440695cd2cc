"""A Whisper of two thin layers with random weights, as transformers saves it and as CTranslate2 converts it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def tiny_whisper(tokenizer: Path, mel_bins: int) -> Any:
    """Return a transformers model with the tokenizer's vocabulary; the same weights each time."""
    import torch
    from transformers import WhisperForConditionalGeneration

    from model_registry.models.speech.tokens import tokenizer_of
    from model_registry.models.speech.whisper_transformers import generation_for

    words = tokenizer_of(tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = WhisperForConditionalGeneration(config(words.get_vocab_size(), mel_bins)).eval()
    model.generation_config = generation_for(words)
    return model


def config(vocabulary: int, mel_bins: int) -> Any:
    """Two layers of 64; the 30 s and 448 tokens of every Whisper."""
    from transformers import WhisperConfig

    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=mel_bins,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
    )


def write_whisper_folder(folder: Path, tokenizer: Path, mel_bins: int) -> Path:
    """Write config.json, generation_config.json and model.safetensors as `save_pretrained` does; and the tokenizer."""
    tiny_whisper(tokenizer, mel_bins).save_pretrained(folder)
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    return folder


def write_ct2_folder(folder: Path, tokenizer: Path, mel_bins: int) -> Path:
    """Write model.bin, config.json and vocabulary.json as CTranslate2's converter does; and the tokenizer."""
    from ctranslate2.converters import TransformersConverter

    source = write_whisper_folder(folder / "transformers", tokenizer, mel_bins)
    TransformersConverter(str(source)).convert(str(folder / "ct2"))
    shutil.copyfile(tokenizer, folder / "ct2" / "tokenizer.json")
    return folder / "ct2"
