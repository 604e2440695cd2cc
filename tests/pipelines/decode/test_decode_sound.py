"""Sound is 16 kHz mono, lies where the pictures say, and is neither lost nor invented."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.decode.limits import Limits, Sampling
from pipelines.rows import AUDIO_HZ, ErrorCode
from tests.footage import SoundTrack, Tone, noise, write_film, write_sound
from tests.watching import SMALL, watch


def pitch(sound: NDArray[np.int16]) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * AUDIO_HZ / len(sound))


def loudness(sound: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


def second(sound: NDArray[np.int16], at: float) -> NDArray[np.int16]:
    """Half a second from there on."""
    return sound[round(at * AUDIO_HZ) : round((at + 0.5) * AUDIO_HZ)]


@pytest.mark.parametrize(
    "tone",
    [
        Tone(3.0),
        Tone(3.0, hertz=1000.0),
        Tone(3.0, rate=44_100),
        Tone(3.0, rate=16_000),
        Tone(3.0, layout="stereo"),
        Tone(3.0, layout="5.1"),
        Tone(3.0, codec="libmp3lame"),
        Tone(3.0, codec="libmp3lame", rate=22_050),
    ],
    ids=lambda tone: f"{tone.codec}-{tone.layout}-{tone.rate}-{tone.hertz:g}",
)
def test_a_tone_stays_that_tone_and_as_loud(tmp_path: Path, tone: Tone) -> None:
    sound = watch(write_film(tmp_path / "a.mp4", tone=tone)).sound
    assert len(sound) == pytest.approx(3 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)
    middle = sound[AUDIO_HZ : 2 * AUDIO_HZ]
    assert pitch(middle) == pytest.approx(tone.hertz, abs=2)
    if tone.layout != "5.1":  # which is mixed down
        assert loudness(middle) * 2**0.5 == pytest.approx(0.5 * 32767, rel=0.1)


@pytest.mark.parametrize(
    ("file", "codec"), [("a.mkv", "flac"), ("a.webm", "libopus"), ("a.ts", "aac"), ("a.avi", "libmp3lame")]
)
def test_other_containers(tmp_path: Path, file: str, codec: str) -> None:
    video = {"a.webm": "libvpx", "a.avi": "mpeg4"}.get(file, "libx264")
    seen = watch(write_film(tmp_path / file, codec=video, tone=Tone(3.0, codec=codec)))
    assert seen.error is None
    assert pitch(second(seen.sound, 1.0)) == pytest.approx(440, abs=3)


def test_no_sound(tmp_path: Path) -> None:
    assert all(window.audio_16k is None for window in watch(write_film(tmp_path / "a.mp4")).windows)


def test_windows_of_sound_are_whole_and_contiguous(long_film: Path) -> None:
    seen = watch(long_film)
    lengths = [len(window.audio_16k) for window in seen.windows if window.audio_16k is not None]
    assert lengths[:2] == [30 * AUDIO_HZ] * 2
    assert lengths[2] == pytest.approx(5 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)
    assert pitch(seen.sound[29 * AUDIO_HZ : 31 * AUDIO_HZ]) == pytest.approx(440, abs=1)  # no break at the seam
    assert seen.error is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_that_outlasts_the_pictures(tmp_path: Path, decoder: str, suffix: str) -> None:
    seen = watch(write_film(tmp_path / f"a.{suffix}", tone=Tone(35.0)))
    assert [len(window.frame_ms) for window in seen.windows] == [3, 0]
    assert len(seen.sound) == pytest.approx(35 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)
    assert seen.error is None
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(35_000, abs=100)


def test_a_container_that_speaks_for_all_its_tracks_may_mean_the_sound(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", tone=Tone(8.0)).read_bytes().replace(b"DURATION", b"DURATI0N")
    (tmp_path / "a.mkv").write_bytes(film)
    assert watch(tmp_path / "a.mkv").error is None
    half = tmp_path / "half.mkv"
    half.write_bytes(film[: len(film) // 2])
    assert watch(half).code == ErrorCode.TRUNCATED


def test_pictures_that_end_before_their_own_track_says(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", tone=Tone(8.0))
    path.write_bytes(path.read_bytes().replace(b"00:00:03.0", b"00:00:08.0"))
    seen = watch(path)
    assert (seen.code, str(seen.error)) == (ErrorCode.TRUNCATED, "pictures end at 3.0 s of 8.0 s")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pictures_that_outlast_the_sound(tmp_path: Path, decoder: str, suffix: str) -> None:
    seen = watch(write_film(tmp_path / f"a.{suffix}", seconds=40, fps=2, tone=Tone(3.0)))
    assert len(seen.frame_ms) == 40
    assert len(seen.sound) == pytest.approx(3 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)
    assert seen.windows[1].audio_16k is None
    assert seen.error is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_starts_late_lies_where_it_is_heard(tmp_path: Path, suffix: str) -> None:
    seen = watch(write_film(tmp_path / f"a.{suffix}", seconds=6, tone=Tone(3.0, start_s=2.0)))
    assert loudness(second(seen.sound, 1.3)) < 10
    assert loudness(second(seen.sound, 2.2)) > 5000
    assert len(seen.sound) == pytest.approx(5 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)
    assert seen.error is None


def test_sound_that_starts_in_a_later_window(tmp_path: Path) -> None:
    seen = watch(write_film(tmp_path / "a.mkv", seconds=70, fps=1, tone=Tone(5.0, start_s=62.0)))
    assert not np.any(seen.windows[0].audio_16k)
    assert loudness(second(seen.sound, 63.0)) > 5000
    assert len(seen.sound) == pytest.approx(67 * AUDIO_HZ, abs=0.1 * AUDIO_HZ)


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start in (0, 4):
            frame = av.AudioFrame.from_ndarray(np.full((1, 16_000), 9000, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start * 16_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    sound = watch(path).sound
    assert [int(np.median(second(sound, at))) for at in (0.2, 1.5, 3.2, 4.2)] == [9000, 0, 0, 9000]
    assert len(sound) == 5 * AUDIO_HZ


def test_sound_only_is_handed_on_and_says_that_nobody_looked(tmp_path: Path) -> None:
    seen = watch(write_sound(tmp_path / "a.m4a", Tone(35.0)))
    assert [window.index for window in seen.windows] == [0, 1]
    assert seen.frame_ms == []
    assert pitch(second(seen.sound, 31.0)) == pytest.approx(440, abs=2)
    assert seen.end is not None
    assert (seen.end.media, seen.end.decoder) == ("audio", "pyav")
    assert seen.end.duration_ms == pytest.approx(35_000, abs=100)
    assert seen.code == ErrorCode.NO_VIDEO


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = SoundTrack(out, Tone(1.0))
        out.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        sound.close()
    seen = watch(path)
    assert seen.code == ErrorCode.NO_VIDEO


def test_sound_that_changes_its_rate_and_channels_on_the_way(tmp_path: Path) -> None:
    one = write_film(tmp_path / "one.ts", tone=Tone(3.0, rate=48_000)).read_bytes()
    two = write_film(
        tmp_path / "two.ts", times_ms=range(3000, 6000, 100), tone=Tone(3.0, rate=44_100, layout="stereo", start_s=3.0)
    )
    path = tmp_path / "a.ts"
    path.write_bytes(one + two.read_bytes())
    seen = watch(path)
    assert pitch(second(seen.sound, 1.0)) == pytest.approx(440, abs=3)
    assert pitch(second(seen.sound, 4.0)) == pytest.approx(440, abs=3)


def test_a_track_that_appears_on_the_way_does_no_harm(tmp_path: Path) -> None:
    one = write_film(tmp_path / "one.flv", seconds=20, codec="flv", draw=noise, size=(320, 240)).read_bytes()
    tone = Tone(4.0, start_s=20.0, codec="libmp3lame", rate=44_100)
    two = write_film(tmp_path / "two.flv", times_ms=range(20_000, 24_000, 100), codec="flv", tone=tone).read_bytes()
    path = tmp_path / "a.flv"
    path.write_bytes(one[:4] + b"\x01" + one[5:] + two[13:])  # the header speaks of pictures only
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    seen = watch(path)
    assert seen.frame_ms == list(range(0, 24_000, 1000))
    assert seen.error is None


@pytest.mark.parametrize("layout", ["7.1", "hexadecagonal"])
def test_many_channels(tmp_path: Path, layout: str) -> None:
    seen = watch(write_sound(tmp_path / "a.wav", Tone(1.0, layout=layout, codec="pcm_s16le")))
    assert len(seen.sound) == pytest.approx(AUDIO_HZ, abs=100)


def _wav(channels: int, rate: int, data: bytes) -> bytes:
    header = b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + channels.to_bytes(2, "little")
    header += rate.to_bytes(4, "little") + (rate * channels * 2 % 2**32).to_bytes(4, "little")
    header += (channels * 2 % 2**16).to_bytes(2, "little") + (16).to_bytes(2, "little")
    header += b"data" + len(data).to_bytes(4, "little")
    return b"RIFF" + (len(header) + len(data)).to_bytes(4, "little") + header + data


@pytest.mark.parametrize(
    ("channels", "rate"), [(100, 48_000), (65_535, 8_000), (0, 8_000), (1, 0), (1, 1), (1, 2**32 - 1)]
)
def test_absurd_channels_and_rates_end_in_a_reason(tmp_path: Path, channels: int, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(_wav(channels, rate, bytes(100_000)))
    seen = watch(path, SMALL, Limits(max_duration_ms=10**9))
    assert seen.code in {ErrorCode.NO_VIDEO, ErrorCode.DAMAGED, ErrorCode.TOO_LONG}
    assert len(seen.sound) <= 100_000


def test_a_stretch_of_silence_is_made_in_small_pieces(tmp_path: Path) -> None:
    """A timestamp near the end of a long film must not cost its length in memory at once, nor the square of it."""
    path = write_film(tmp_path / "a.mkv", times_ms=[0, 1000], tone=Tone(1.0, start_s=5 * 3600.0))
    seen = watch(path, Sampling(frame_side=64, window_ms=600_000))
    assert [len(window.audio_16k) for window in seen.windows if window.audio_16k is not None][:29] == [9_600_000] * 29
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(5 * 3_600_000 + 1000, abs=100)
