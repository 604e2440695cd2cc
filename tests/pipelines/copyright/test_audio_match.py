"""Audio matching: songs hidden in others and edited as uploaders do, sounds that must match nothing, fast == plain."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.songs import song
from pipelines.copyright.sound.align import Line, fitted, stretches
from pipelines.copyright.sound.index import AudioIndex, AudioSpan
from pipelines.copyright.sound.landmarks import AUDIO_HZ, Peaks, hashes_of, joined, peaks_of
from pipelines.copyright.sound.table import COMMON, OWN_MOST, HashTable
from pipelines.copyright.sound.votes import FASTEST, nominations, nominations_plain, readings

REFERENCES, REFERENCE_S = 4, 30
COPIED_S, FROM_S, TO_S = 8, 12, 6
RANDOM = np.random.default_rng


def seconds(sound: np.ndarray, start_s: float, length_s: float) -> np.ndarray:
    return sound[int(start_s * AUDIO_HZ) :][: int(length_s * AUDIO_HZ)]


def resampled(sound: np.ndarray, speed: float) -> np.ndarray:
    return np.interp(np.arange(0, len(sound) - 1, speed), np.arange(len(sound)), sound)


def stretched(sound: np.ndarray, speed: float) -> np.ndarray:
    """Another tempo at the same pitch: a phase vocoder."""
    import torch
    from torchaudio.functional import phase_vocoder

    window = torch.hann_window(1024)
    spectrum = torch.stft(torch.from_numpy(sound.astype(np.float32)), 1024, 256, window=window, return_complex=True)
    advance = torch.linspace(0, np.pi * 256, 513)[:, None]
    return torch.istft(phase_vocoder(spectrum, speed, advance), 1024, 256, window=window).numpy()


def mixed(sound: np.ndarray, other: np.ndarray, db: float) -> np.ndarray:
    """`other` is laid over at some level above the sound's."""
    over = np.resize(other, len(sound)).astype(float)
    return sound + over * (np.std(sound) / np.std(over) * 10 ** (db / 20))


def telephone(sound: np.ndarray) -> np.ndarray:
    spectrum, hertz = np.fft.rfft(sound), np.fft.rfftfreq(len(sound), 1 / AUDIO_HZ)
    return np.fft.irfft(np.where((hertz > 300) & (hertz < 3400), spectrum, 0), len(sound))


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [song(seed, REFERENCE_S) for seed in range(REFERENCES)]


@pytest.fixture(scope="module")
def index(songs) -> AudioIndex:
    return AudioIndex((10 + number, peaks_of(sound)) for number, sound in enumerate(songs))


@pytest.fixture(scope="module")
def upload() -> np.ndarray:
    return song(100, 24)


def hidden(upload: np.ndarray, excerpt: np.ndarray) -> Peaks:
    """The peaks of an upload that plays an excerpt from TO_S on."""
    cut = TO_S * AUDIO_HZ
    whole = np.concatenate([upload[:cut], excerpt, upload[cut:]])
    return peaks_of((whole * min(1.0, 32_000 / np.abs(whole).max())).astype(np.int16))


EDITS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float]] = {  # edit, speed, semitones
    "nothing": (lambda sound: sound, 1.0, 0),
    "resampled to 0.8": (lambda sound: resampled(sound, 0.8), 0.8, 12 * np.log2(0.8)),
    "resampled to 1.05": (lambda sound: resampled(sound, 1.05), 1.05, 12 * np.log2(1.05)),
    "resampled to 1.25": (lambda sound: resampled(sound, 1.25), 1.25, 12 * np.log2(1.25)),
    "stretched to 0.8": (lambda sound: stretched(sound, 0.8), 0.8, 0),
    "stretched to 1.1": (lambda sound: stretched(sound, 1.1), 1.1, 0),
    "three semitones up": (lambda sound: stretched(resampled(sound, 2 ** (3 / 12)), 2 ** (-3 / 12)), 1.0, 3),
    "two semitones down": (lambda sound: stretched(resampled(sound, 2 ** (-2 / 12)), 2 ** (2 / 12)), 1.0, -2),
    "noise 5 dB below": (lambda sound: mixed(sound, RANDOM(0).normal(size=len(sound)), -5), 1.0, 0),
    "other music as loud": (lambda sound: mixed(sound, song(200, COPIED_S), 0), 1.0, 0),
    "telephone": (telephone, 1.0, 0),
    "five times louder and clipped": (lambda sound: np.clip(sound * 5.0, -16_000, 16_000), 1.0, 0),
}


class TestCopies:
    @pytest.mark.parametrize("edit", EDITS)
    def test_an_edited_copy_is_found_in_its_place(self, edit, songs, index, upload):
        change, speed, semitones = EDITS[edit]
        query = hidden(upload, change(seconds(songs[2], FROM_S, COPIED_S)))

        (span,) = index.match(query)

        assert span.reference == 12
        assert span.start_ms == pytest.approx(1000 * TO_S, abs=1000)
        assert span.end_ms == pytest.approx(1000 * (TO_S + COPIED_S / speed), abs=1000)
        assert span.ref_start_ms == pytest.approx(1000 * FROM_S + (span.start_ms - 1000 * TO_S) * speed, abs=100)
        assert span.ref_end_ms - span.ref_start_ms == pytest.approx((span.end_ms - span.start_ms) * speed, rel=0.005)
        assert span.speed == pytest.approx(speed, rel=0.005)
        assert span.pitch == pytest.approx(100 * semitones, abs=10)
        assert span.votes >= 10
        assert 0.5 <= span.score < 1

    def test_three_seconds_are_enough(self, songs, index, upload):
        (span,) = index.match(hidden(upload, seconds(songs[1], 5, 3)))

        assert (span.reference, span.start_ms) == (11, pytest.approx(1000 * TO_S, abs=500))

    def test_one_reference_twice_and_another_once(self, songs, index, upload):
        parts = [seconds(songs[0], 15, 5), seconds(upload, 0, 6), seconds(songs[3], 2, 5), seconds(songs[0], 3, 5)]

        found = index.match(hidden(upload, np.concatenate(parts)))

        assert [span.reference for span in found] == [10, 13, 10]
        assert [span.start_ms for span in found] == pytest.approx([6000, 17_000, 22_000], abs=700)
        assert [span.ref_start_ms for span in found] == pytest.approx([15_000, 2000, 3000], abs=700)

    def test_two_at_once_are_both_found(self, songs, index):
        both = mixed(seconds(songs[1], 5, 15), seconds(songs[2], 10, 15), 0)

        assert {span.reference for span in index.match(peaks_of((both * 0.6).astype(np.int16)))} == {11, 12}

    def test_a_pause_ends_a_span(self, songs, index, upload):
        parts = [seconds(songs[0], 5, 6), seconds(upload, 10, 8), seconds(songs[0], 19, 6)]

        found = index.match(hidden(upload, np.concatenate(parts)))

        assert [(span.start_ms, span.end_ms) for span in found] == [
            (pytest.approx(6000, abs=700), pytest.approx(12_000, abs=700)),
            (pytest.approx(20_000, abs=700), pytest.approx(26_000, abs=700)),
        ]

    def test_windows_join_to_what_the_whole_gives(self, songs, index):
        whole = songs[3]
        parts = [peaks_of(seconds(whole, at, 10), 1000 * at) for at in (0, 10, 20)]

        (span,) = index.match(joined(parts))

        assert (span.reference, span.start_ms, span.end_ms) == (
            13,
            pytest.approx(0, abs=500),
            pytest.approx(3e4, abs=500),
        )

    def test_later_in_a_long_query_the_same_is_found(self, songs, index, upload):
        query = hidden(upload, seconds(songs[2], FROM_S, COPIED_S))
        (soon,) = index.match(query)
        later_ms = 3_600_000 + 1234

        (late,) = index.match(Peaks(query.time_ms + later_ms, query.pitch))

        assert late.ref_start_ms == pytest.approx(soon.ref_start_ms, abs=50)
        assert late.start_ms - later_ms == pytest.approx(soon.start_ms, abs=500)


class TestNothing:
    @pytest.mark.parametrize("seed", range(300, 303))
    def test_songs_of_their_own(self, seed, index):
        assert index.match(peaks_of(song(seed, 20))) == []

    @pytest.mark.parametrize(
        "sound",
        [
            np.zeros(10 * AUDIO_HZ),
            8000 * np.sin(np.arange(10 * AUDIO_HZ) * 0.2),
            8000 * np.sign(np.sin(np.arange(10 * AUDIO_HZ) * 0.03)),
            RANDOM(0).normal(0, 4000, 10 * AUDIO_HZ),
            8000 * (np.arange(10 * AUDIO_HZ) % (AUDIO_HZ // 2) < 200),
        ],
        ids=["silence", "tone", "hum", "noise", "metronome"],
    )
    def test_sounds_that_are_nobodys(self, sound, index):
        assert index.match(peaks_of(sound.astype(np.int16))) == []

    def test_the_same_hum_and_the_same_metronome(self):
        time = np.arange(30 * AUDIO_HZ)

        def sounds(seed, later):
            hiss = RANDOM(seed).normal(0, 100, len(time))
            hum, metronome = np.sin((time + later) * 0.03) > 0, (time + later) % (AUDIO_HZ // 2) < 200
            return [peaks_of((8000 * sound + hiss).astype(np.int16)) for sound in (hum, metronome)]

        bank = AudioIndex(enumerate(sounds(1, 0)))

        assert [bank.match(sound) for sound in sounds(2, 3333)] == [[], []]

    def test_one_drum_loop_under_two_songs(self):
        hits = [RANDOM(seed).normal(size=4000) * np.exp(-np.arange(4000) / 700) for seed in (1, 2, 3)]
        drums = np.concatenate([hits[0], hits[1], hits[2], hits[1]])
        first, second = (mixed(song(seed, 30), drums, 3) * 0.4 for seed in (400, 401))
        bank = AudioIndex([(1, peaks_of(first.astype(np.int16)))])

        assert bank.match(peaks_of(second.astype(np.int16))) == []
        assert len(bank.match(peaks_of(seconds(first, 10, 10).astype(np.int16)))) == 1

    def test_no_references_and_no_peaks(self, index):
        nothing = joined([])

        assert AudioIndex([]).match(index.peaks[0]) == []
        assert AudioIndex([(1, nothing)]).match(index.peaks[0]) == []
        assert index.match(nothing) == []


def random_peaks(seed: int, count: int, end_ms: int) -> Peaks:
    """Peaks on so few pitches and moments that hashes repeat."""
    random = RANDOM(seed)
    times = np.sort(random.integers(0, end_ms // 120, count) * 120)
    return Peaks(times.astype(np.int32), (6000 + 300 * random.integers(0, 8, count)).astype(np.uint16))


class TestFastAndPlain:
    @pytest.mark.parametrize("seed", range(3))
    def test_nominate_the_same(self, seed):
        tracks = [random_peaks(10 * seed + number, 150, 9000) for number in range(3)]
        query = joined([random_peaks(10 * seed + 9, 120, 8000), Peaks(tracks[1].time_ms + 3000, tracks[1].pitch)])
        index = AudioIndex(enumerate(tracks))

        fast = nominations(index.table, query)

        assert fast == nominations_plain(index.tracks(), query)
        assert len(fast) > 10

    def test_match_the_same_over_a_chunk_s_end(self, songs, index, upload):
        query = hidden(upload, resampled(seconds(songs[2], FROM_S, COPIED_S), 1.05))
        moved = Peaks(query.time_ms + 58_000, query.pitch)

        assert index.match(moved) == index.match_plain(moved)
        assert len(index.match(moved)) == 1

    def test_look_up_the_same(self, index):
        queries, _ = hashes_of(index.peaks[1])
        hit, position = index.table.lookup(queries)

        bank: dict[int, list[int]] = {}
        for peaks, start in index.tracks():
            for code, time_ms in zip(*(column.tolist() for column in hashes_of(peaks)), strict=True):
                bank.setdefault(code, []).append(start + time_ms // 8)
        expected = [(which, at) for which, code in enumerate(queries.tolist()) for at in bank.get(code, [])]
        assert sorted(zip(hit.tolist(), position.tolist(), strict=True)) == sorted(expected)


class TestCaps:
    def test_a_reference_holds_a_hash_only_so_often(self):
        loop = Peaks(np.arange(0, 100_000, 250, np.int32), np.full(400, 7000, np.uint16))

        hit, _ = HashTable([(loop, 3000)]).lookup(hashes_of(loop)[0][:1])

        assert len(hit) == OWN_MOST

    def test_a_hash_of_too_many_references_is_left_out(self):
        beep = Peaks(np.array([0, 200, 400], np.int32), np.array([7000, 7300, 7600], np.uint16))
        starts = [3000 * (number + 1) for number in range(COMMON + 1)]
        code = hashes_of(beep)[0]

        assert len(HashTable([(beep, start) for start in starts[:-1]]).lookup(code)[0]) == COMMON
        assert len(HashTable([(beep, start) for start in starts]).lookup(code)[0]) == 0

    def test_memory_an_hour_is_what_the_docstring_says(self, index):
        dense = Peaks(np.arange(0, 3_600_000, 40, np.int32), RANDOM(0).integers(6000, 10_000, 90_000).astype(np.uint16))

        assert 2e6 < AudioIndex([(0, dense)]).nbytes < 3.5e6


class TestLine:
    def test_a_guess_is_turned_onto_the_peaks(self):
        reference = random_peaks(5, 400, 16_000)
        query = Peaks(np.rint((reference.time_ms + 5000) / 1.008).astype(np.int32), reference.pitch + np.uint16(110))

        line = fitted(query, reference, Line(1.0, -4900.0, 100))

        assert line.speed == pytest.approx(1.008, abs=5e-4)
        assert line.at(query.time_ms[200]) == pytest.approx(reference.time_ms[200], abs=5)
        assert line.pitch == pytest.approx(110, abs=2)

    def test_a_stretch_is_where_the_peaks_meet(self):
        shared = peaks_of(song(7, 6))
        own = [peaks_of(song(seed, 6), start_ms) for seed, start_ms in ((8, 0), (9, 12_000))]
        query = joined([*own, Peaks(shared.time_ms + 6000, shared.pitch)])

        best = max(stretches(query, shared, Line(1.0, -6000.0, 0.0)), key=lambda stretch: stretch.nats)

        assert (best.start_ms, best.end_ms) == (pytest.approx(6000, abs=600), pytest.approx(12_000, abs=600))
        assert best.votes >= 0.9 * len(shared)

    def test_the_readings_cover_the_promise(self):
        assert min(reading.speed for reading in readings()) == pytest.approx(1 / FASTEST, rel=0.005)
        assert {reading.speed for reading in readings() if abs(reading.pitch) == 340} >= {1.0}
        assert max(reading.pitch for reading in readings()) >= 1200 * np.log2(1.25)


def read_wave(path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (AUDIO_HZ, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


class TestRealSpeech:
    def test_a_reading_is_found_at_another_speed_and_under_music(self, real_media, upload):
        sonnet, speech = (
            read_wave(real_media / "audio" / name) for name in ("librivox/sonnet1.wav", "pywhispercpp/jfk.wav")
        )
        bank = AudioIndex([(1, peaks_of(sonnet)), (2, peaks_of(speech))])
        excerpt = seconds(sonnet, 20, 8)

        for change, speed in ((lambda s: resampled(s, 1.1), 1.1), (lambda s: mixed(s, song(500, 8), 0), 1.0)):
            (span,) = bank.match(hidden(upload, change(excerpt)))
            assert span == replace(span, reference=1)
            assert span.speed == pytest.approx(speed, rel=0.005)
            assert span.ref_start_ms == pytest.approx(20_000 + (span.start_ms - 6000) * speed, abs=100)

    def test_speech_does_not_match_other_speech(self, real_media):
        voices = [read_wave(path) for path in sorted((real_media / "audio").rglob("*.wav"))]
        peaks = [peaks_of(voice) for voice in voices]
        bank = AudioIndex(enumerate(peaks))

        found: list[list[AudioSpan]] = [bank.match(each) for each in peaks]

        assert all(span.reference == number for number, spans in enumerate(found) for span in spans)
        assert sum(map(bool, found)) >= len(voices) - 1
