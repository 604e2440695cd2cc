"""Whisper by CTranslate2: real words of real sound, alone and among others, and what no sound may do."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from model_registry.artifacts import artifact
from model_registry.bundles import pin_model
from model_registry.errors import NightjarError
from model_registry.model import ModelRef, read_all
from model_registry.models.speech.decoding import Decoder
from model_registry.models.speech.tokens import Decoded
from model_registry.models.speech.whisper_ct2 import FasterWhisperBase, FasterWhisperLargeV3Turbo
from tests.sounds import ARCTIC, AUDIO_HZ, KENNEDY, SONNET, mandarin, recording
from tests.tiny_whisper import write_ct2_folder


@pytest.fixture(scope="module")
def whisper(loaded):
    return loaded("whisper_base_ct2")


def letters(lines) -> str:
    return re.sub(r"\W+", " ", " ".join(line.text for line in lines)).strip().lower()


class TestRecordings:
    def test_kennedy(self, whisper, real_media):
        [lines] = whisper.predict([recording(real_media, KENNEDY)])

        wanted = (
            "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
        )
        assert letters(lines) == wanted
        assert {line.language for line in lines} == {"en"}
        assert all(0.5 < line.confidence <= 1 for line in lines)

    def test_times_are_in_order_and_where_the_words_are(self, whisper, real_media):
        [lines] = whisper.predict([recording(real_media, KENNEDY)])
        words = [(line.text[word.start : word.end], word) for line in lines for word in line.words]
        when = {text: word.start_ms for text, word in words}

        assert [text for text, _ in words] == re.findall(r"\w+", " ".join(line.text for line in lines))
        assert all(0 <= line.start_ms <= line.end_ms <= 11_000 for line in lines)
        assert all(one.end_ms <= other.start_ms for one, other in pairwise(lines))
        starts = [word.start_ms for _, word in words]
        assert starts == sorted(starts)
        assert when["Americans"] == pytest.approx(1600, abs=300)  # read off the waveform
        assert when["country"] == pytest.approx(9850, abs=400)  # the last of two

    def test_it_goes_on_after_it_broke_off(self, whisper, real_media):
        """Half a minute without a pause: one decoding ends before the verse does."""
        [lines] = whisper.predict([recording(real_media, SONNET)[: 30 * AUDIO_HZ]])

        assert "fairest creatures we desire increase" in letters(lines)
        assert "making a famine where abundance lies" in letters(lines)
        assert 28_000 < lines[-1].end_ms <= 30_000

    def test_each_sound_of_a_batch_keeps_its_language(self, whisper, real_media):
        one, two = list(mandarin(real_media))[:2]

        first, english, second = whisper.predict([recording(real_media, name) for name in (one, ARCTIC, two)])
        chinese = [first, second]

        assert {line.language for lines in chinese for line in lines} == {"zh"}
        assert {line.language for line in english} == {"en"}
        assert letters(english) == "he turned sharply and faced gregson across the table"
        assert re.search("今天天[气氣]很好", chinese[0][0].text)
        line = chinese[0][0]
        assert len(line.words) >= 10
        assert "".join(line.text[word.start : word.end] for word in line.words) == re.sub(r"\W", "", line.text)

    def test_a_sound_gives_the_same_alone_and_among_others(self, whisper, real_media):
        sounds = [recording(real_media, name) for name in [*mandarin(real_media), ARCTIC, KENNEDY]]

        together = [letters(lines) for lines in read_all(whisper, sounds)]
        alone = [letters(whisper.predict([sound])[0]) for sound in sounds]

        assert together == alone

    def test_order_does_not_matter(self, whisper, real_media):
        sounds = [recording(real_media, name) for name in (KENNEDY, ARCTIC)]

        assert whisper.predict(sounds) == whisper.predict(sounds[::-1])[::-1]

    def test_what_it_hears_does_not_depend_on_the_threads_of_blas(self, whisper):
        """A night's worker has one, a command on its own has one a core."""
        noise = np.random.default_rng(0).normal(0, 3000, 7 * AUDIO_HZ).astype(np.int16)
        with threadpool_limits(1):
            alone = whisper._mel(noise, 7)
        for threads in (2, 3):
            with threadpool_limits(threads):
                np.testing.assert_array_equal(whisper._mel(noise, 7), alone)


class TestNoSpeech:
    @pytest.mark.parametrize("length", [0, 1, 1599, AUDIO_HZ, 30 * AUDIO_HZ])
    def test_silence_has_no_lines(self, whisper, length):
        assert whisper.predict([np.zeros(length, np.int16)]) == [()]

    def test_faint_noise_is_no_speech(self, whisper):
        """Section 4.5 of the paper: no speech is likely, and the text unsure."""
        noise = np.random.default_rng(0).normal(0, 20, 4 * AUDIO_HZ).astype(np.int16)

        assert np.abs(noise).max() > 60
        assert whisper.predict([noise]) == [()]

    def test_nothing_disturbs_its_neighbours(self, whisper):
        vowels = whisper.examples()[0]
        alone = whisper.predict([vowels])

        found = whisper.predict([np.zeros(0, np.int16), vowels, np.full(1, 32_767, np.int16)])

        assert found == [(), alone[0], ()]

    def test_the_loudest_square_wave_does_no_harm(self, whisper):
        square = np.where(np.arange(3 * AUDIO_HZ) // 40 % 2, 32_767, -32_768).astype(np.int16)

        [lines] = whisper.predict([square])

        assert all(0 <= line.start_ms <= line.end_ms <= 3000 for line in lines)

    def test_what_is_no_sound_is_refused(self, whisper):
        with pytest.raises(ValueError, match=r"^a sound is float32 \(9,\), wanted int16 \(samples,\)$"):
            whisper.predict([np.zeros(9, np.float32)])


class FakeEngine:
    """Says which language and tokens it was asked for, and scores by the decoding."""

    def __init__(self, languages, scores):
        self.languages, self.scores, self.asked = languages, scores, []

    def detect_language(self, encoded):
        return self.languages

    def generate(self, encoded, prompts, **options):
        from types import SimpleNamespace

        careful = "no_repeat_ngram_size" in options
        self.asked.append((len(encoded), [prompt[1] for prompt in prompts], careful))
        return [
            SimpleNamespace(sequences_ids=[[prompt[1]]], scores=[2 * self.scores[prompt[1], careful]], no_speech_prob=0)
            for prompt in prompts
        ]


class TestSecondDecoding:
    """Only what failed, or may be in another language, is decoded again; the better of two is kept."""

    @pytest.fixture
    def decoded(self, whisper, monkeypatch):
        tokenizer = whisper.decoder.tokenizer
        number = {code: tokenizer.token_to_id(f"<|{code}|>") for code in ("en", "zh", "cy")}
        monkeypatch.setattr("model_registry.models.speech.decoding.rows", lambda encoded, places: [0] * len(places))

        def decode(languages, scores):
            engine = FakeEngine(
                [[(f"<|{code}|>", share) for code, share in each] for each in languages],
                {(number[code], careful): score for (code, careful), score in scores.items()},
            )
            found = Decoder(engine, tokenizer)._decoded([0] * len(languages), 3000)
            asked = [(count, [tokenizer.id_to_token(n)[2:-2] for n in ids], how) for count, ids, how in engine.asked]
            return [(each.language, round(each.logprob, 2)) for each in found], asked

        return decode

    def test_what_went_well_is_decoded_once(self, decoded):
        found, asked = decoded([[("en", 0.9), ("cy", 0.1)]], {("en", False): -0.3})

        assert (found, asked) == ([("en", -0.3)], [(1, ["en"], False)])

    def test_what_failed_is_decoded_with_care_and_alone(self, decoded):
        scores = {("en", False): -0.3, ("zh", False): -1.5, ("zh", True): -0.7}

        found, asked = decoded([[("en", 0.9), ("cy", 0.1)], [("zh", 0.9), ("cy", 0.1)]], scores)

        assert found == [("en", -0.3), ("zh", -0.7)]
        assert asked == [(2, ["en", "zh"], False), (1, ["zh"], True)]

    @pytest.mark.parametrize(("welsh", "kept"), [(-0.2, "cy"), (-0.9, "en")])
    def test_an_unsure_language_has_to_compete(self, decoded, welsh, kept):
        found, asked = decoded([[("en", 0.4), ("cy", 0.3)]], {("en", False): -0.5, ("cy", False): welsh})

        assert found[0][0] == kept
        assert asked == [(1, ["en"], False), (1, ["cy"], False)]

    def test_one_that_goes_round_in_circles_loses_though_it_is_sure(self, whisper):
        loop = tuple(whisper.decoder.text.encode(" thank you" * 60))
        sure, unsure = Decoded(loop, -0.1, 0, "en"), Decoded(loop[:2], -0.9, 0, "en")

        assert whisper.decoder._better(sure, unsure) is unsure


class TestFiles:
    def test_a_model_of_128_mel_bands_needs_no_more_files(self, tmp_path, ref_of):
        """Large-v3-turbo's kind, small and random."""
        tokenizer = dict(ref_of("whisper_base_ct2").weights)["whisper-base-tokenizer"]
        folder = write_ct2_folder(tmp_path, Path(tokenizer), mel_bins=128)
        weights = {row: folder / name for name, row in FasterWhisperLargeV3Turbo.files.items()}

        model = FasterWhisperLargeV3Turbo.load(weights, "cpu")

        assert model.engine.n_mels == 128
        assert len(model.predict(model.examples())) == len(model.examples())

    @pytest.mark.parametrize("name", ["model.bin", "config.json", "vocabulary.json", "tokenizer.json"])
    def test_a_damaged_file_is_one_sentence_that_names_it(self, name, ref_of, tmp_path):
        ref, row, damaged = ref_of("whisper_base_ct2"), FasterWhisperBase.files[name], tmp_path / "damaged"
        damaged.write_bytes(b"not what anybody wants" * 100)
        weights = tuple({**dict(ref.weights), row: str(damaged)}.items())

        with pytest.raises(NightjarError, match=f"^{damaged} is not [^\n]*: [^\n]+$"):
            ModelRef(ref.name, ref.version, ref.implementation, weights).load("cpu")

    def test_half_a_model_is_one_sentence(self, ref_of, tmp_path):
        ref, row, damaged = ref_of("whisper_base_ct2"), "whisper-base-ct2-model", tmp_path / "model.bin"
        weights = {name: Path(path) for name, path in ref.weights}
        damaged.write_bytes(weights[row].read_bytes()[:1_000_000])

        with pytest.raises(NightjarError, match=f"^{damaged} is not a CTranslate2 Whisper model: [^\n]+$"):
            FasterWhisperBase.load({**weights, row: damaged}, "cpu")

    def test_the_engine_keeps_no_folder(self, ref_of, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        ref_of("whisper_base_ct2").load("cpu")

        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("size", ["base", "large-v3-turbo"])
    def test_every_file_is_an_artifact_under_its_own_name(self, size):
        model = {"base": FasterWhisperBase, "large-v3-turbo": FasterWhisperLargeV3Turbo}[size]

        assert {artifact(row).file for row in model.spec.artifacts} == set(model.files)


def test_the_catalog_pins_it(ref_of):
    ref = ref_of("whisper_base_ct2")

    assert ref == pin_model("whisper_base_ct2", download=False)
    assert ref.source == "whisper_base_ct2@1.0.0"
