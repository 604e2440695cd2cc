"""Silero VAD: the graph for whole sounds against the one for single frames, hysteresis by hand, and real sounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from model_registry.artifacts import Artifact, fetch
from model_registry.model import Span, read_all
from model_registry.models.speech.voice_activity import CONTEXT, FRAME, framed, spans
from tests.sounds import AUDIO_HZ, KENNEDY, recording, without_speech

STEPS = Artifact(  # the same network, called once a frame
    "silero-vad-steps",
    "silero_vad_16k_op15.onnx",
    "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    "MIT",
    (
        {
            "kind": "package",
            "package": "silero-vad==6.2.3",
            "sha256": "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            "member": "silero_vad/data/silero_vad_16k_op15.onnx",
        },
    ),
)


@pytest.fixture(scope="module")
def vad(loaded):
    return loaded("silero_vad")


def frame_by_frame(sound: np.ndarray) -> list[float]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(fetch(STEPS)), providers=["CPUExecutionProvider"])
    state, before, found = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), []
    samples = sound.astype(np.float32) / 32_768
    for start in range(0, len(samples), FRAME):
        frame = np.zeros(FRAME, np.float32)
        frame[: len(samples[start : start + FRAME])] = samples[start : start + FRAME]
        feeds = {"input": np.concatenate([before, frame])[None], "state": state, "sr": np.array(AUDIO_HZ, np.int64)}
        probability, state = session.run(None, feeds)
        found.append(probability.item())
        before = frame[-CONTEXT:]
    return found


def heard(*runs: tuple[float, int]) -> np.ndarray:
    """Probabilities: so many frames of each value."""
    return np.concatenate([np.full(count, value, np.float32) for value, count in runs])


def edges(probabilities: np.ndarray) -> list[tuple[int, int]]:
    return [(span.start_ms, span.end_ms) for span in spans(probabilities, len(probabilities) * FRAME)]


class TestProbabilities:
    @pytest.mark.parametrize("number", [0, 1])
    def test_are_those_of_the_graph_that_is_called_once_a_frame(self, vad, number):
        sound = vad.examples()[number][:-100]  # the last frame is not full
        found = vad.probabilities(sound)

        assert found.max() > 0.9
        np.testing.assert_allclose(found, frame_by_frame(sound), atol=1e-5)

    def test_a_frame_sees_the_end_of_the_one_before(self):
        frames_NS = framed(np.arange(1, 2 * FRAME + 11, dtype=np.float32))

        assert frames_NS.shape == (3, CONTEXT + FRAME)
        assert (frames_NS[0, :CONTEXT] == 0).all()
        assert (frames_NS[1, :CONTEXT] == frames_NS[0, -CONTEXT:]).all()
        assert frames_NS[2, CONTEXT : CONTEXT + 11].tolist() == [*range(2 * FRAME + 1, 2 * FRAME + 11), 0]


class TestSpans:
    """Frames last 32 ms."""

    def test_speech_is_padded_on_both_sides(self):
        assert edges(heard((0.1, 20), (0.9, 20), (0.1, 20))) == [(640 - 100, 1280 + 100)]

    def test_confidence_is_the_mean_probability(self):
        [span] = spans(heard((0.0, 20), (0.75, 20), (0.0, 20)), 60 * FRAME)

        assert span.confidence == pytest.approx(0.75)

    def test_it_is_held_until_it_is_well_below(self):
        assert edges(heard((0.1, 20), (0.9, 10), (0.4, 30), (0.9, 10), (0.1, 20))) == [(540, 2240 + 100)]

    def test_a_pause_of_96_ms_is_none_and_one_of_160_ms_is_one(self):
        joined = heard((0.1, 20), (0.9, 10), (0.1, 3), (0.9, 10), (0.1, 20))
        parted = heard((0.1, 20), (0.9, 10), (0.1, 5), (0.9, 10), (0.1, 20))

        assert len(edges(joined)) == 1
        assert edges(parted) == [(540, 1040), (1040, 1440 + 100)]  # two paddings share the pause

    def test_a_pause_counts_from_where_it_became_quiet(self):
        """Once below LEAVE, less than ENTER does not take it back."""
        assert edges(heard((0.1, 20), (0.9, 10), (0.1, 1), (0.4, 4), (0.1, 20))) == [(540, 960 + 100)]

    def test_less_than_a_quarter_of_a_second_is_no_speech(self):
        assert edges(heard((0.1, 20), (0.9, 7), (0.1, 20))) == []
        assert len(edges(heard((0.1, 20), (0.9, 8), (0.1, 20)))) == 1

    def test_spans_stay_inside_the_sound(self):
        assert spans(heard((0.9, 20)), 19 * FRAME + 160) == [Span(0, 618, pytest.approx(0.9))]

    def test_no_frames_no_spans(self):
        assert spans(np.zeros(0, np.float32), 0) == []


class TestSounds:
    def test_where_nobody_speaks_there_is_nothing_and_in_music_hardly_anything(self, vad):
        sounds = without_speech()
        found = dict(zip(sounds, read_all(vad, list(sounds.values())), strict=True))
        music = [span for name in ("song 1", "song 2") for span in found.pop(name)]

        assert found == dict.fromkeys(("silence", "white", "pink", "hum"), ())
        assert sum(span.end_ms - span.start_ms for span in music) < 500  # of 16 s

    def test_vowels_are_speech_and_the_pause_before_them_is_not(self, vad):
        at_once, later, hum, silence = vad.predict(vad.examples())

        assert at_once[0].start_ms < 100
        assert 850 < later[0].start_ms < 1100
        assert hum == silence == ()

    def test_a_speech_is_found_in_its_four_parts(self, vad, real_media):
        sound = recording(real_media, KENNEDY)
        quiet = np.zeros(5 * AUDIO_HZ, np.int16)

        [found] = vad.predict([np.concatenate([quiet, sound, quiet])])

        assert len(found) == 4
        assert all(span.confidence > 0.7 for span in found)
        assert 5000 < found[0].start_ms < 5500
        assert 15_000 < found[-1].end_ms < 16_000
        assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))

    @pytest.mark.parametrize("length", [0, 1, 511, 513])
    def test_very_short_sound_has_none_and_disturbs_nobody(self, vad, length):
        vowels = vad.examples()[0]

        assert vad.predict([np.full(length, 9000, np.int16), vowels]) == [(), *vad.predict([vowels])]

    def test_a_silent_track_asks_no_model(self, vad, monkeypatch):
        monkeypatch.setattr(vad, "probabilities", None)

        assert vad.predict([np.full(30 * AUDIO_HZ, 32, np.int16)]) == [()]

    @pytest.mark.parametrize(
        ("sound", "sentence"),
        [
            (np.zeros(9, np.float32), r"a sound is float32 \(9,\), wanted int16 \(samples,\)"),
            (np.zeros((2, 9), np.int16), r"a sound is int16 \(2, 9\), wanted int16 \(samples,\)"),
            (np.zeros(30 * AUDIO_HZ + 1600, np.int16), r"a sound is 30\.1 s long, allowed are up to 30 s"),
        ],
    )
    def test_what_is_no_sound_is_refused(self, vad, sound, sentence):
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            vad.predict([sound])
