"""Landmarks: tones whose peaks are known beforehand, and what delay, cuts and speed must and must not change."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.songs import song
from pipelines.copyright.sound.landmarks import (
    AUDIO_HZ,
    LOOK_AHEAD,
    PITCH_STEP,
    REFERENCE_FAN,
    TIME_STEP_MS,
    ZONE_CENTS,
    ZONE_MS,
    Peaks,
    hashes_of,
    joined,
    peaks_of,
    trios,
)


def peaks(*pairs: tuple[int, int]) -> Peaks:
    times, pitches = zip(*pairs, strict=True) if pairs else ((), ())
    return Peaks(np.array(times, np.int32), np.array(pitches, np.uint16))


def beeps(*notes: tuple[int, float], seconds: float = 3) -> np.ndarray:
    """A soft beep of 0.1 s around each (ms, Hz)."""
    time_s = np.arange(int(seconds * AUDIO_HZ)) / AUDIO_HZ
    sound = sum(
        np.exp(-(((time_s - ms / 1000) / 0.03) ** 2)) * np.sin(2 * np.pi * hertz * time_s) for ms, hertz in notes
    )
    return (8000 * sound).astype(np.int16)


def share_near(one: Peaks, other: Peaks, ms: int = 12, cents: int = 15) -> float:
    """Of the peaks of one, how many have one of the other beside them."""
    later = np.abs(one.time_ms[:, None] - other.time_ms[None])
    higher = np.abs(one.pitch[:, None].astype(int) - other.pitch[None].astype(int))
    return float(((later <= ms) & (higher <= cents)).any(1).mean())


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    return song(1, 12)


class TestPeaks:
    def test_a_beep_is_one_peak_where_it_is_loudest_at_its_pitch(self):
        found = peaks_of(beeps((1000, 880.0), (2003, 659.26)))

        assert found.time_ms == pytest.approx([1000, 2003], abs=6)
        assert found.pitch == pytest.approx([8100, 7600], abs=6)  # A5 and E5

    def test_of_two_within_reach_only_the_louder_is_one(self):
        soft = beeps((1050, 900.0)) // 2

        assert len(peaks_of(beeps((1000, 880.0)) + soft)) == 1

    def test_of_two_out_of_reach_both_are(self):
        soft = beeps((1000, 1320.0), (1300, 880.0)) // 4

        assert len(peaks_of(beeps((1000, 880.0)) + soft)) == 3

    @pytest.mark.parametrize("length", [0, 1, 100, 2047])
    def test_very_short_sound_has_none(self, length):
        assert len(peaks_of(np.full(length, 9000, np.int16))) == 0

    def test_silence_has_none(self):
        assert len(peaks_of(np.zeros(5 * AUDIO_HZ, np.int16))) == 0

    def test_the_start_is_added(self, tune):
        assert (peaks_of(tune, 30_000).time_ms == peaks_of(tune).time_ms + 30_000).all()

    def test_the_samples_may_be_read_only_bytes(self, tune):
        assert len(peaks_of(np.frombuffer(tune.tobytes(), np.int16))) == len(peaks_of(tune))

    def test_a_delay_delays_the_peaks(self, tune):
        later = peaks_of(np.concatenate([np.zeros(5000, np.int16), tune]))
        delayed = Peaks(later.time_ms - 312, later.pitch)

        assert share_near(peaks_of(tune), delayed) > 0.85

    def test_loudness_changes_nothing(self, tune):
        assert share_near(peaks_of(tune), peaks_of(tune // 4)) > 0.95

    def test_windows_have_nearly_the_peaks_of_the_whole(self, tune):
        whole, cut = peaks_of(tune), 8 * AUDIO_HZ
        windows = joined([peaks_of(tune[:cut]), peaks_of(tune[cut:], 8000)])

        assert share_near(whole, windows) > 0.97
        assert share_near(windows, whole) > 0.97

    def test_there_are_some_twenty_a_second_and_in_noise_no_more_than_forty(self, tune):
        noise = np.random.default_rng(0).normal(0, 5000, 10 * AUDIO_HZ).astype(np.int16)

        assert 10 < len(peaks_of(tune)) / 12 < 30
        assert len(peaks_of(noise)) / 10 < 40

    def test_played_faster_they_come_sooner_and_higher(self, tune):
        faster = np.interp(np.arange(0, len(tune) - 1, 1.1), np.arange(len(tune)), tune).astype(np.int16)
        heard = peaks_of(faster)
        read = Peaks(
            np.rint(heard.time_ms * 1.1).astype(np.int32),
            (heard.pitch - 1200 * np.log2(1.1)).round().astype(np.uint16),
        )

        assert share_near(peaks_of(tune), read) > 0.6
        assert share_near(peaks_of(tune), heard) < 0.2


class TestColumns:
    def test_different_lengths_are_refused(self):
        with pytest.raises(ValueError, match=r"\(1,\) times and \(2,\) pitches"):
            Peaks(np.zeros(1, np.int32), np.zeros(2, np.uint16))

    def test_time_does_not_run_backwards(self):
        with pytest.raises(ValueError, match="descend"):
            peaks((2, 6900), (1, 6900))

    def test_joining_sorts(self):
        both = joined([peaks((30, 7000), (40, 7000)), peaks((10, 6900), (30, 6900))])

        assert list(zip(both.time_ms.tolist(), both.pitch.tolist(), strict=True)) == [
            (10, 6900),
            (30, 6900),
            (30, 7000),
            (40, 7000),
        ]
        assert len(joined([])) == 0

    def test_between_takes_the_first_and_leaves_the_last(self):
        assert peaks((10, 1), (20, 2), (30, 3)).between(10, 30).pitch.tolist() == [1, 2]


def trios_plain(found: Peaks, fan: int) -> set[tuple[int, int, int]]:
    chosen = set()
    pairs = list(zip(found.time_ms.tolist(), found.pitch.tolist(), strict=True))
    for anchor, (time_ms, pitch) in enumerate(pairs):
        targets = [
            other
            for other in range(anchor + 1, min(len(pairs), anchor + 1 + LOOK_AHEAD))
            if ZONE_MS[0] <= pairs[other][0] - time_ms < ZONE_MS[1] and abs(pairs[other][1] - pitch) <= ZONE_CENTS
        ][:fan]
        chosen |= {(anchor, first, second) for first in targets for second in targets if first < second}
    return chosen


class TestHashes:
    def test_by_hand(self):
        # From the first peak: 100 cents higher after 200 ms, 200 lower after 500 ms. After the others too few come.
        hashes, time_ms = hashes_of(peaks((1000, 6900), (1200, 7000), (1500, 6700)))

        expected = 6900 // PITCH_STEP
        for higher, later in ((100, 200), (-200, 500)):
            expected = expected * (2 * ZONE_CENTS // PITCH_STEP + 1) + (higher + ZONE_CENTS) // PITCH_STEP
            expected = expected * (ZONE_MS[1] // TIME_STEP_MS) + later // TIME_STEP_MS
        assert hashes.tolist() == [expected]
        assert time_ms.tolist() == [1000]
        assert (hashes.dtype, time_ms.dtype) == (np.uint32, np.int32)

    def test_harmonics_of_one_moment_and_what_is_far_make_none(self):
        together = peaks((0, 6900), (50, 7200), (99, 7500))
        apart = peaks((0, 6900), (1000, 7000), (2000, 7100))
        aside = peaks((0, 6000), (200, 7201), (400, 8402))

        assert [len(hashes_of(each)[0]) for each in (together, apart, aside, peaks())] == [0, 0, 0, 0]

    def test_the_choice_is_that_of_a_loop(self, tune):
        found = peaks_of(tune)

        for fan in (2, REFERENCE_FAN, 5):
            assert set(map(tuple, trios(found.time_ms, found.pitch, fan).T.tolist())) == trios_plain(found, fan)

    def test_the_largest_numbers_do_not_overflow_into_each_other(self):
        highest = peaks((0, 11_900), (999 - 20, 11_900 + 1200), (999, 11_900 + 1200))

        (code,) = hashes_of(highest)[0].tolist()

        span, times = 2 * ZONE_CENTS // PITCH_STEP + 1, ZONE_MS[1] // TIME_STEP_MS
        assert code // (span * times) ** 2 == 11_900 // PITCH_STEP

    def test_a_copy_read_at_its_speed_and_pitch_has_the_hashes_of_its_original(self):
        random = np.random.default_rng(3)
        times = np.cumsum(random.integers(2, 9, 400)) * TIME_STEP_MS + TIME_STEP_MS // 2  # amid their steps
        pitches = random.integers(6000 // PITCH_STEP, 9000 // PITCH_STEP, 400) * PITCH_STEP + PITCH_STEP // 2
        original = Peaks(times.astype(np.int32), pitches.astype(np.uint16))
        copy = Peaks(np.rint(times / 1.25).astype(np.int32), (pitches + 386).astype(np.uint16))

        wanted, own = hashes_of(original)[0], set(hashes_of(copy)[0].tolist())

        read = set(hashes_of(copy, speed=1.25, pitch=386)[0].tolist())
        assert len(set(wanted.tolist()) & read) > 0.5 * len(set(wanted.tolist()))
        assert len(set(wanted.tolist()) & own) < 0.05 * len(set(wanted.tolist()))
