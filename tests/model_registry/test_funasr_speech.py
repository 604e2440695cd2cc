"""FunASR: its rich text parsed, and the engine called as it wants to be; without it one clear sentence."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from model_registry.errors import NightjarError, UsageError
from model_registry.model import Line, read_all
from model_registry.models.speech.funasr import ARTIFACT, FunAsrSpeech, Tagged, parsed


@pytest.mark.parametrize(
    ("raw", "text", "language", "tags"),
    [
        ("<|zh|><|HAPPY|><|Speech|><|withitn|>今天天气很好。", "今天天气很好。", "zh", "zh HAPPY Speech withitn"),
        ("<|en|><|NEUTRAL|><|BGM|><|woitn|>ask not", "ask not", "en", "en NEUTRAL BGM woitn"),
        ("<|nospeech|><|EMO_UNKNOWN|><|BGM|><|woitn|>the.", "", "", "nospeech EMO_UNKNOWN BGM woitn"),
        ("<|zh|><|SAD|>你好 <|en|><|ANGRY|>go  away", "你好 go away", "zh", "zh SAD en ANGRY"),
        ("Paraformer 没有标签", "Paraformer 没有标签", "", ""),
        ("a < b | c > d", "a < b | c > d", "", ""),
        ("", "", "", ""),
    ],
)
def test_tags_are_taken_off(raw, text, language, tags):
    assert parsed(raw) == Tagged(text, language, tuple(tags.split()))


class FakeAutoModel:
    """As funasr.AutoModel: keywords to make it, a list of float sounds to generate, a list of dictionaries back."""

    made: dict[str, object]

    def __init__(self, *, model, device, disable_update, disable_pbar):
        if not model.endswith("SenseVoiceSmall"):
            raise AssertionError(f"{model} is not registered")
        type(self).made = {"device": device, "update": not disable_update, "bar": not disable_pbar}
        self.asked = []

    def generate(self, input, *, fs, language, use_itn, batch_size_s):
        assert (fs, language) == (16_000, "auto")
        assert all(sound.dtype == np.float32 and np.abs(sound).max() <= 1 for sound in input)
        self.asked.append([len(sound) for sound in input])
        tags = "<|zh|><|NEUTRAL|><|Speech|><|withitn|>"
        return [
            {"key": f"rand_key_{n}", "text": tags + str(len(sound)) if sound.any() else "<|nospeech|><|BGM|>"}
            for n, sound in enumerate(input)
        ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    module = ModuleType("funasr")
    module.AutoModel = FakeAutoModel
    monkeypatch.setitem(sys.modules, "funasr", module)
    return tmp_path / "SenseVoiceSmall"


@pytest.fixture
def model(folder):
    return FunAsrSpeech.load({ARTIFACT: folder}, "cuda")


def test_a_sound_is_a_line_and_one_without_speech_none(model):
    sounds = [np.full(32_000, 99, np.int16), np.zeros(0, np.int16), np.zeros(16_000, np.int16), np.ones(16, np.int16)]

    found = read_all(model, sounds)

    assert found == [(Line("32000", 1.0, "zh", 0, 2000),), (), (), (Line("16", 1.0, "zh", 0, 1),)]
    assert model.engine.asked == [[32_000, 16_000, 16]]


def test_nothing_but_empty_sounds_asks_nobody(model):
    assert model.predict([np.zeros(0, np.int16)]) == [()]
    assert model.engine.asked == []


def test_nothing_is_downloaded_and_the_device_is_the_callers(model):
    assert FakeAutoModel.made == {"device": "cuda", "update": False, "bar": False}


def test_without_the_extra_the_sentence_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "funasr", None)

    with pytest.raises(UsageError, match=r"^FunASR is not installed: `pip install nightjar\[funasr\]` brings it$"):
        FunAsrSpeech.load({ARTIFACT: tmp_path}, "cpu")


def test_a_folder_that_is_no_model_is_named(folder, tmp_path, monkeypatch):
    def refuse(**options):
        raise FileNotFoundError("configuration.json")

    monkeypatch.setattr(sys.modules["funasr"], "AutoModel", refuse)

    with pytest.raises(NightjarError, match=f"^{folder} is not a model of FunASR: configuration.json$"):
        FunAsrSpeech.load({ARTIFACT: folder}, "cpu")
