"""Whisper by transformers: the same words as CTranslate2 from the same weights, and a folder that a user brings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from model_registry import store
from model_registry.bundles import pin_model
from model_registry.errors import NightjarError
from model_registry.models.speech import whisper_transformers
from model_registry.models.speech.whisper_transformers import ARTIFACT, LARGE_V3_TURBO, TOKENIZER, TransformersWhisper
from tests.sounds import ARCTIC, mandarin, recording
from tests.tiny_whisper import config, tiny_whisper, write_whisper_folder
from tests.whisper_weights import read_variables, state_dict

BASE = {
    "vocab_size": 51865,
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
}


@pytest.fixture(scope="module")
def files(ref_of) -> dict[str, Path]:
    return {name: Path(path) for name, path in ref_of("whisper_base_ct2").weights}


@pytest.fixture(scope="module")
def tokenizer(files) -> Path:
    return files["whisper-base-tokenizer"]


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory) -> Path:
    return write_whisper_folder(tmp_path_factory.mktemp("whisper") / "tiny", tokenizer, mel_bins=80)


@pytest.fixture(scope="module")
def tiny(folder, tokenizer) -> TransformersWhisper:
    return TransformersWhisper.load({ARTIFACT: folder, TOKENIZER: tokenizer}, "cpu")


def as_text(lines) -> str:
    return re.sub(r"\W+", " ", " ".join(line.text for line in lines)).strip().lower()


def test_two_engines_hear_the_same_in_real_sound(files, tokenizer, loaded, real_media):
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration(WhisperConfig(**BASE))
    network.load_state_dict(state_dict(read_variables(files["whisper-base-ct2-model"]), layers=6))
    plain = TransformersWhisper(network, whisper_transformers.tokenizer_of(tokenizer), "cpu")
    names = (ARCTIC, next(iter(mandarin(real_media))))
    sounds = [recording(real_media, name) for name in names]

    found, fast = plain.predict(sounds), loaded("whisper_base_ct2").predict(sounds)

    assert [as_text(lines) for lines in found] == [as_text(lines) for lines in fast]
    assert [{line.language for line in lines} for lines in found] == [{"en"}, {"zh"}]
    for lines, others in zip(found, fast, strict=True):
        assert lines[0].confidence == pytest.approx(others[0].confidence, abs=0.1)
        assert lines[-1].end_ms == pytest.approx(others[-1].end_ms, abs=500)


class TestTiny:
    """Two thin layers with random weights: no words worth reading, but everything a batch may do."""

    def test_lines_have_times_language_and_confidence(self, tiny):
        sounds = tiny.examples()

        found = tiny.predict(sounds)

        assert len(found[0]) > 0
        for sound, lines in zip(sounds, found, strict=True):
            assert all(0 <= line.start_ms <= line.end_ms <= len(sound) // 16 for line in lines)
            assert all(line.text.strip() and 0 < line.confidence < 1 and len(line.language) >= 2 for line in lines)

    def test_order_and_batch_do_not_matter(self, tiny):
        sounds = tiny.examples()[:2]

        found = tiny.predict(sounds)

        assert tiny.predict(sounds[::-1])[::-1] == found
        assert [as_text(tiny.predict([sound])[0]) for sound in sounds] == [as_text(lines) for lines in found]

    @pytest.mark.parametrize("length", [0, 1, 16_000])
    def test_silence_has_no_lines(self, tiny, length):
        assert tiny.predict([np.zeros(length, np.int16)]) == [()]


class TestFiles:
    def test_a_registered_folder_is_what_runs(self, folder, tokenizer, registry, tiny):
        store.register("whisper_transformers", {ARTIFACT: folder, TOKENIZER: tokenizer}, "champion")

        ref = pin_model("whisper_transformers", download=False)

        assert ref.source == "whisper_transformers@mlflow-1"
        assert ref.load("cpu").predict(tiny.examples()[:1]) == tiny.predict(tiny.examples()[:1])

    @pytest.fixture
    def thin(self, tokenizer, monkeypatch):
        """The weights of a file as published, of a network that is thinner than large-v3-turbo's."""
        fields = config(BASE["vocab_size"], mel_bins=80).to_dict()
        monkeypatch.setattr(whisper_transformers, "LARGE_V3_TURBO", {key: fields[key] for key in LARGE_V3_TURBO})
        weights = tiny_whisper(tokenizer, 80).state_dict()
        return {name: value for name, value in weights.items() if name != "proj_out.weight"}

    def test_the_published_file_comes_without_its_configuration(self, tokenizer, tmp_path, thin, tiny):
        from safetensors.torch import save_file

        save_file(thin, tmp_path / "model.safetensors", {"format": "pt"})

        model = TransformersWhisper.load({ARTIFACT: tmp_path / "model.safetensors", TOKENIZER: tokenizer}, "cpu")

        assert model.predict(tiny.examples()[:1]) == tiny.predict(tiny.examples()[:1])

    def test_the_configuration_of_large_v3_turbo_has_its_parameters(self):
        """808,878,080, as its authors count them."""
        import torch
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        with torch.device("meta"):
            network = WhisperForConditionalGeneration(WhisperConfig(**LARGE_V3_TURBO))

        assert sum(each.numel() for each in network.parameters()) == 808_878_080

    @pytest.mark.parametrize("row", [ARTIFACT, TOKENIZER])
    def test_a_damaged_file_is_one_sentence_that_names_it(self, folder, tokenizer, row, tmp_path):
        damaged = tmp_path / "damaged"
        damaged.write_bytes(b"not what anybody wants" * 100)
        weights = {ARTIFACT: folder, TOKENIZER: tokenizer, row: damaged}

        with pytest.raises(NightjarError, match=f"^{damaged} is not [^\n]*: [^\n]+$"):
            TransformersWhisper.load(weights, "cpu")

    def test_an_empty_folder_is_one_sentence_that_names_it(self, tokenizer, tmp_path):
        with pytest.raises(NightjarError, match=f"^{tmp_path} is not a Whisper checkpoint: [^\n]+$"):
            TransformersWhisper.load({ARTIFACT: tmp_path, TOKENIZER: tokenizer}, "cpu")

    @pytest.mark.parametrize("in_file", [True, False])
    def test_a_checkpoint_that_lacks_a_weight_is_one_sentence_that_names_both(self, tokenizer, tmp_path, thin, in_file):
        """transformers itself would go on with random ones."""
        from safetensors.torch import save_file

        del thin["model.encoder.conv1.bias"]
        path = tmp_path / "model.safetensors"
        save_file(thin, path, {"format": "pt"})
        config(BASE["vocab_size"], mel_bins=80).save_pretrained(tmp_path)
        brought = path if in_file else tmp_path

        with pytest.raises(
            NightjarError, match=f"^{brought} is not a Whisper checkpoint: 1 weights are missing, model.e"
        ):
            TransformersWhisper.load({ARTIFACT: brought, TOKENIZER: tokenizer}, "cpu")
