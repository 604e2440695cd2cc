"""Whisper by transformers: the plain engine beside CTranslate2's, for checkpoints that were never converted.

Its artifact is a folder as `save_pretrained` writes it, registered with `nightjar models register`, or the published
large-v3-turbo as one file. It decodes greedily, pads every sound to 30 s and gives no times of words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_registry.model import Line, ModelSpec
from model_registry.models.speech.listening import Heard, Whisper, kind_of, whisper_spec
from model_registry.models.speech.sound import AUDIO_HZ, Sound, as_float, milliseconds
from model_registry.models.speech.tokens import Decoded, room_for, said, tokenizer_of
from model_registry.reading import reading

if TYPE_CHECKING:
    import torch

ARTIFACT, TOKENIZER = "whisper-transformers", "whisper-large-v3-turbo-tokenizer"
LARGE_V3_TURBO = {  # config.json of openai/whisper-large-v3-turbo
    "vocab_size": 51866,
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "decoder_layers": 4,
    "encoder_attention_heads": 20,
    "decoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_ffn_dim": 5120,
}
LATEST_START = 50  # a first timestamp is at most so many steps of 20 ms


class TransformersWhisper(Whisper):
    """Sound to lines with times and language."""

    spec: ClassVar[ModelSpec] = whisper_spec("whisper_transformers", (ARTIFACT, TOKENIZER), memory_mb=4500, gpus=0.5)

    def __init__(self, network: Any, tokenizer: Any, device: str) -> None:
        from transformers import WhisperFeatureExtractor

        self.device = device
        self.tokenizer = tokenizer
        self.network = network.to(device).eval()
        self.network.generation_config = generation_for(tokenizer)
        self.features = WhisperFeatureExtractor(feature_size=network.config.num_mel_bins)

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read a folder, or large-v3-turbo's file; half precision on CUDA."""
        import torch
        from safetensors import SafetensorError

        dtype = torch.float16 if kind_of(device) == "cuda" else torch.float32
        with reading(weights[ARTIFACT], "a Whisper checkpoint", also=(SafetensorError,)):
            network = _network(weights[ARTIFACT], dtype)
        return cls(network, tokenizer_of(weights[TOKENIZER]), device)

    def hear(self, sounds: Sequence[Sound], seconds: int) -> list[Heard]:
        """Decode each sound in its own language; the network takes 30 s, whatever the class."""
        import torch

        features_NMT = self.features([as_float(sound) for sound in sounds], sampling_rate=AUDIO_HZ, return_tensors="pt")
        with torch.inference_mode():
            found = self.network.generate(
                features_NMT.input_features.to(self.device, self.network.dtype),
                task="transcribe",
                return_timestamps=True,
                force_unique_generate_call=True,
                max_length=room_for(seconds * 1000),
            )
        return [self._heard(each, sound) for each, sound in zip(self._decoded(found), sounds, strict=True)]

    def _decoded(self, found: Any) -> list[Decoded]:
        """Split what was generated from the prompt, which names the language."""
        logprobs_NT = self.network.compute_transition_scores(found.sequences, found.scores, normalize_logits=True)
        count = logprobs_NT.shape[1]
        return [
            self._one(sequence, logprobs.tolist(), len(sequence) - count)
            for sequence, logprobs in zip(found.sequences.tolist(), logprobs_NT, strict=True)
        ]

    def _one(self, sequence: Sequence[int], logprobs: Sequence[float], prompt: int) -> Decoded:
        end: int = self.tokenizer.token_to_id("<|endoftext|>")
        tokens = sequence[prompt:]
        length = tokens.index(end) if end in tokens else len(tokens)
        scored = [score for score in logprobs[: length + 1] if math.isfinite(score)]
        language = self.tokenizer.id_to_token(sequence[1]).strip("<|>")
        return Decoded(tuple(tokens[:length]), sum(scored) / max(1, len(scored)), 0.0, language)

    def _heard(self, decoded: Decoded, sound: Sound) -> Heard:
        first = self.tokenizer.token_to_id("<|notimestamps|>") + 1
        parts, resume_ms = said(decoded, first, milliseconds(len(sound)))
        texts = [(part, self.tokenizer.decode(list(part.tokens)).strip()) for part in parts]
        lines = [
            Line(text, decoded.confidence, decoded.language, part.start_ms, part.end_ms) for part, text in texts if text
        ]
        return Heard(tuple(lines), resume_ms)


def _network(path: Path, dtype: torch.dtype) -> Any:
    """Load a checkpoint, or raise ValueError where it lacks a weight: transformers would draw it at random."""
    from transformers import WhisperForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a worker has no terminal
    if not path.is_dir():
        return _large_v3_turbo(path, dtype)
    options = {"dtype": dtype, "local_files_only": True, "output_loading_info": True}
    network, about = WhisperForConditionalGeneration.from_pretrained(path, **options)
    _refuse_missing(about["missing_keys"])
    return network


def _large_v3_turbo(path: Path, dtype: torch.dtype) -> Any:
    import torch
    from safetensors.torch import load_file
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    with torch.device("meta"):
        network = WhisperForConditionalGeneration(WhisperConfig(**LARGE_V3_TURBO))
    found = network.load_state_dict(load_file(path), strict=False, assign=True)
    _refuse_missing(found.missing_keys)
    network.tie_weights()
    return network.to(dtype)


def _refuse_missing(names: Iterable[str]) -> None:
    if missing := set(names) - {"proj_out.weight"}:  # which is the embedding
        raise ValueError(f"{len(missing)} weights are missing, {min(missing)} among them")


def generation_for(tokenizer: Any) -> Any:
    """What generation_config.json would say, from the tokenizer: some checkpoints come without the file."""
    from faster_whisper.tokenizer import Tokenizer
    from transformers import GenerationConfig

    known = Tokenizer(tokenizer, True, "transcribe", "en")
    languages = {tokenizer.id_to_token(number): number for number in range(known.sot + 1, known.translate)}
    hushed = {*known.non_speech_tokens, known.sot, known.sot_prev, known.sot_lm, known.transcribe, known.translate}
    return GenerationConfig(
        return_dict_in_generate=True,
        output_scores=True,
        is_multilingual=True,
        lang_to_id=languages,
        task_to_id={"transcribe": known.transcribe, "translate": known.translate},
        no_timestamps_token_id=known.no_timestamps,
        max_initial_timestamp_index=LATEST_START,
        suppress_tokens=sorted(hushed),
        begin_suppress_tokens=[*known.encode(" "), known.eot],
        decoder_start_token_id=known.sot,
        bos_token_id=known.eot,
        eos_token_id=known.eot,
        pad_token_id=known.eot,
    )
