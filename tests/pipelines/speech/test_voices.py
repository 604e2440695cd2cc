"""Voices: only speech is embedded, windows add up to one voice, and only other accounts count."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest

from model_registry.model import ModelRef
from pipelines.pieces import Pieces, write_piece
from pipelines.rows import LINE, SOUND_COLUMNS, WINDOWS
from pipelines.speech.voices import KnownVoices, KnowVoices, voices_of
from tests.fakes import FakeSpeaker
from tests.windows import line, looked_at, window

HZ = 16_000
REF = ModelRef("fake_speaker", "1", "tests.fakes:FakeSpeaker")


def table(*rows: tuple[np.ndarray | None, int, Sequence[Mapping]]) -> pa.Table:
    sounds = [None if sound is None else sound.tobytes() for sound, _, _ in rows]
    said = pa.array([list(lines) for _, _, lines in rows], pa.list_(LINE))
    cells = [{"audio_16k": sound, "start_ms": start} for sound, (_, start, _) in zip(sounds, rows, strict=True)]
    schema = pa.schema([WINDOWS.field(name) for name in ("start_ms", *SOUND_COLUMNS)])
    return pa.Table.from_pylist(cells, schema).append_column("said", said)


def voices(found):
    return [None if not cell else cell[0] for cell in found["voices"].to_pylist()]


def test_only_what_is_said_is_embedded():
    sound = np.concatenate([np.full(2 * HZ, 100), np.full(2 * HZ, 300), np.full(HZ, 900)]).astype(np.int16)
    rows = (sound, 30_000, [line(32_000, 34_000, "hello")])
    (found,) = KnowVoices(ref=REF).open()(table(rows))
    (voice,) = voices(found)
    assert voice["speech_ms"] == 2000
    assert voice["embedding"] == pytest.approx(FakeSpeaker().predict([sound[2 * HZ : 4 * HZ]])[0], rel=1e-2)


def test_no_speech_no_sound_and_too_little_speech_have_no_voice_and_cost_nothing(monkeypatch):
    asked = []
    monkeypatch.setattr(FakeSpeaker, "predict", lambda self, batch: asked.append(len(batch)) or [])
    noise = np.ones(3 * HZ, np.int16)
    rows = [(noise, 0, []), (None, 0, [line(0, 2000, "x")]), (noise, 0, [line(0, 900, "x")])]
    (found,) = KnowVoices(ref=REF).open()(table(*rows))
    assert voices(found) == [None, None, None]
    assert asked == []


def test_a_long_speech_is_cut():
    (found,) = KnowVoices(ref=REF).open()(table((np.ones(20 * HZ, np.int16), 0, [line(0, 20_000, "on and on")])))
    assert voices(found)[0]["speech_ms"] == 8000


def test_the_windows_of_a_content_are_one_voice(tmp_path):
    write_piece(tmp_path, looked_at(window("a" * 64, 0, last=False, voice=[3, 0]), window("a" * 64, 1, voice=[0, 4])))
    write_piece(tmp_path, looked_at(window("b" * 64)))
    found = voices_of(Pieces(tmp_path), ["a" * 64, "b" * 64])
    assert found.keys() == {"a" * 64}
    assert found["a" * 64] == pytest.approx([0.6, 0.8], rel=1e-3)


def test_only_other_accounts_with_the_same_voice_count():
    known = KnownVoices.of(
        {"a": np.array([1, 0], np.float32), "b": np.array([0.6, 0.8], np.float32)}, {"a": {"ann", "bob"}, "b": {"eve"}}
    )
    assert known.others(np.array([1, 0], np.float32), "ann") == 1
    assert known.others(np.array([1, 0], np.float32), "someone") == 2
    assert known.others(np.array([0, 1], np.float32), "ann") == 0
    assert known.others(None, "ann") == 0
    assert KnownVoices().others(np.array([1, 0], np.float32), "ann") == 0
