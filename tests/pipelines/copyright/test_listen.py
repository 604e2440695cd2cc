"""Listening: the peaks of a window stand at their time in the track, and the sound goes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.copyright.sound.landmarks import peaks_of
from pipelines.copyright.sound.listen import Listen
from pipelines.rows import AUDIO_HZ, PEAK, SOUND_COLUMNS, WINDOWS
from pipelines.stage import check, run_local

COLUMNS = pa.schema([WINDOWS.field(name) for name in ("start_ms", *SOUND_COLUMNS)])


def melody(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Notes of a fifth of a second."""
    pitches = np.random.default_rng(seed).uniform(300, 3000, round(seconds * 5))
    at = np.arange(AUDIO_HZ // 5) / AUDIO_HZ
    return (8000 * np.concatenate([np.sin(2 * np.pi * hertz * at) for hertz in pitches])).astype(np.int16)


def heard(*windows: tuple[np.ndarray | None, int]) -> pa.Table:
    rows = [{"audio_16k": None if sound is None else sound.tobytes(), "start_ms": start} for sound, start in windows]
    return run_local([Listen()], pa.Table.from_pylist(rows, COLUMNS))


def as_rows(sound: np.ndarray, start_ms: int, track: int = 0) -> list[dict]:
    peaks = peaks_of(sound, start_ms)
    return [
        {"time_ms": int(ms), "pitch": int(pitch), "track": track}
        for ms, pitch in zip(peaks.time_ms, peaks.pitch, strict=True)
    ]


def test_each_window_has_its_own_peaks_at_their_time_in_the_track():
    found = heard((melody(1), 0), (melody(2), 30_000))["peaks"].to_pylist()

    assert found == [as_rows(melody(1), 0), as_rows(melody(2), 30_000)]
    assert all(30_000 <= peak["time_ms"] <= 33_000 for peak in found[1])
    assert len(found[0]) > 5


def test_windows_without_sound_have_none():
    silent, empty, short = np.zeros(AUDIO_HZ, np.int16), np.zeros(0, np.int16), melody(1)[:100]
    found = heard((None, 0), (melody(1), 0), (silent, 0), (empty, 0), (short, 0))["peaks"].to_pylist()

    assert [bool(peaks) for peaks in found] == [False, True, False, False, False]


def test_the_column_is_what_pieces_keep_and_the_sound_goes():
    out = heard((melody(1), 0))

    assert out["peaks"].type == pa.list_(PEAK)
    assert set(out.column_names) == check([Listen()], COLUMNS.names) == {"start_ms", "peaks"}


def test_no_windows_at_all():
    assert heard()["peaks"].to_pylist() == []


def test_a_slice_of_a_larger_table():
    cells = [{"audio_16k": melody(n).tobytes(), "start_ms": 10 * n} for n in range(3)]
    rows = pa.Table.from_pylist(cells, COLUMNS).slice(1, 1)

    assert run_local([Listen()], rows)["peaks"].to_pylist() == [as_rows(melody(1), 10)]


def test_every_sound_of_a_window_has_peaks_that_say_whose_they_are():
    more = [{"track": 129, "audio_16k": melody(2).tobytes(), "audio_before": melody(3).tobytes()}]
    row = {"audio_16k": melody(1).tobytes(), "audio_track": 64, "start_ms": 30_000, "more_sounds": more}

    (peaks,) = run_local([Listen()], pa.Table.from_pylist([row], COLUMNS))["peaks"].to_pylist()

    assert peaks == as_rows(melody(1), 30_000, 64) + as_rows(melody(2), 30_000, 129)
