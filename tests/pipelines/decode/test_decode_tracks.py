"""Every track and every channel that a mix would hide comes out, each with its number; what does not is a reason."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.decode.channels import mixed
from pipelines.decode.mpeg_audio import mpeg_audio, tag_bytes
from pipelines.decode.ogg import cut_short
from pipelines.decode.sniff import sniff_file
from pipelines.rows import AUDIO_HZ, ErrorCode
from pipelines.tracks import SIDE, channel_of, name_of, number
from tests.footage import Tone, write_sound
from tests.watching import Seen, watch

LEFT, RIGHT = channel_of("FL", 0), channel_of("FR", 1)


def voice(seed: int, seconds: int = 4) -> np.ndarray:
    """Noise, as float32 [N]: two of them have nothing in common."""
    return np.random.default_rng(seed).normal(0, 0.1, seconds * AUDIO_HZ).astype(np.float32)


def power(samples: np.ndarray) -> float:
    return float(np.mean((samples / 32_768.0) ** 2))


def test_channels_that_agree_are_one_mix():
    found = mixed(np.stack([voice(1), voice(1)]), ("FL", "FR"))

    assert found.others == {}
    assert power(found.mix) == pytest.approx(0.01, rel=0.05)


def test_a_channel_that_is_the_others_negative_does_not_cancel_it():
    found = mixed(np.stack([voice(1), -voice(1)]), ("FL", "FR"))

    assert power(found.mix) == pytest.approx(0.01, rel=0.05)
    assert found.others == {}


def test_channels_that_say_different_things_are_heard_each():
    found = mixed(np.stack([voice(1), voice(2)]), ("FL", "FR"))

    assert set(found.others) == {LEFT, RIGHT, SIDE}
    assert np.corrcoef(found.others[LEFT], voice(1))[0, 1] > 0.999
    assert np.corrcoef(found.others[RIGHT], voice(2))[0, 1] > 0.999


def test_only_the_seconds_that_differ_are_heard_besides():
    right = voice(1, 20)
    right[2 * AUDIO_HZ : 4 * AUDIO_HZ] = voice(2, 2)
    found = mixed(np.stack([voice(1, 20), right]), ("FL", "FR"))

    assert power(found.others[RIGHT][2 * AUDIO_HZ : 4 * AUDIO_HZ]) > 0.005
    assert not found.others[RIGHT][8 * AUDIO_HZ :].any()


@pytest.mark.parametrize("place", range(6))
def test_each_channel_of_six_is_heard_alone_as_loud_as_of_two(place: int):
    sound = np.zeros((6, AUDIO_HZ), np.float32)
    sound[place] = voice(1, 1)
    found = mixed(sound, ("FL", "FR", "FC", "LFE", "BL", "BR"))

    assert power(found.mix) == pytest.approx(0.01 if place == 2 else 0.0025, rel=0.05)


def test_a_quiet_centre_under_loud_sides_is_heard_by_itself():
    sides, centre = voice(1), 0.1 * voice(2)
    none = np.zeros_like(sides)
    found = mixed(np.stack([sides, sides, centre, none, sides, sides]), ("FL", "FR", "FC", "LFE", "BL", "BR"))

    assert np.corrcoef(found.others[channel_of("FC", 2)], centre)[0, 1] > 0.99


def film(path: Path, hertz: list[float], default: int | None = None) -> Path:
    """A Matroska file with one tone a track."""
    at = np.arange(2 * AUDIO_HZ) / AUDIO_HZ
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("pcm_s16le", rate=AUDIO_HZ, layout="mono") for _ in hertz]
        for place, track in enumerate(tracks):
            flags = av.stream.Disposition
            track.disposition = flags.default if place == default else flags(0)
        for track, pitch in zip(tracks, hertz, strict=True):
            samples = (9000 * np.sin(2 * np.pi * pitch * at)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = AUDIO_HZ, 0
            out.mux(track.encode(frame))
            out.mux(track.encode(None))
    return path


def pitches(seen: Seen) -> dict[str | None, int]:
    """The loudest frequency of each sound of the first window."""
    found = {}
    for sound in seen.windows[0].sounds:
        spectrum = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples))))
        found[name_of(sound.track)] = round(float(np.argmax(spectrum)) * AUDIO_HZ / len(sound.samples))
    return found


def test_every_track_is_heard_and_says_which_it_is(tmp_path: Path):
    seen = watch(film(tmp_path / "a.mka", [300, 500, 700]))

    assert pitches(seen) == {"1": 300, "2": 500, "3": 700}
    assert seen.code == ErrorCode.NO_VIDEO  # and nothing else


def test_the_track_that_a_player_prefers_comes_first(tmp_path: Path):
    seen = watch(film(tmp_path / "a.mka", [300, 500, 700], default=1))

    assert list(pitches(seen)) == ["2", "1", "3"]


def test_of_dozens_of_tracks_it_is_said_how_many_nobody_heard(tmp_path: Path):
    seen = watch(film(tmp_path / "a.mka", [300.0 + 20 * n for n in range(12)]))

    assert len(pitches(seen)) == 8
    assert (seen.code, str(seen.error)) == (ErrorCode.UNSUPPORTED, "4 of 12 sound tracks were not listened to")


def test_a_window_comes_with_the_end_of_the_one_before(long_film: Path):
    first, second = watch(long_film).windows[:2]

    assert len(first.sounds[0].before) == 0
    assert (second.sounds[0].before == first.sounds[0].samples[-6 * AUDIO_HZ :]).all()


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
def test_ogg_that_is_cut_anywhere_is_said_to_be(tmp_path: Path, share: float):
    whole = write_sound(tmp_path / "a.ogg", Tone(6.0, codec="libopus"))
    cut = tmp_path / "cut.ogg"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])

    assert cut_short(whole) is None
    assert watch(whole).code == ErrorCode.NO_VIDEO
    assert watch(cut).code in {ErrorCode.TRUNCATED, ErrorCode.DAMAGED}


def test_ogg_that_is_cut_between_two_pages_is_said_to_be(tmp_path: Path):
    raw = write_sound(tmp_path / "a.ogg", Tone(6.0, codec="libopus")).read_bytes()
    (tmp_path / "cut.ogg").write_bytes(raw[: raw.rindex(b"OggS")])

    assert cut_short(tmp_path / "cut.ogg") == "the last Ogg page does not end its stream"


TAG = b"ID3\x04\x00\x00\x00\x00\x4e\x10" + bytes(0x4E * 128 + 0x10)  # longer than what is read of a file at first


@pytest.mark.parametrize(("suffix", "codec"), [("flac", "flac"), ("aac", "aac"), ("mp3", "libmp3lame")])
def test_a_tag_in_front_hides_nothing(tmp_path: Path, suffix: str, codec: str):
    plain = write_sound(tmp_path / f"a.{suffix}", Tone(2.0, codec=codec))
    raw = plain.read_bytes()
    path = tmp_path / "tagged"
    path.write_bytes(TAG + raw[tag_bytes(raw) :])

    assert sniff_file(path).demuxer == sniff_file(plain).demuxer == suffix
    assert len(watch(path).sound) == pytest.approx(2 * AUDIO_HZ, rel=0.1)


def test_mp3_at_a_quarter_of_the_rates_is_known():
    frame = b"\xff\xe3\x28\xc4" + bytes(140)  # MPEG 2.5, layer III, 16 kbit/s at 8 kHz: 144 bytes

    assert mpeg_audio(frame * 3) == "mp3"
    assert mpeg_audio(frame + bytes(400)) is None
    assert mpeg_audio("\ufeffUTF-16 text, which begins alike".encode("utf-16-le")) is None


def test_numbers_of_sounds_have_names():
    assert [name_of(number(*pair)) for pair in ((1, 0), (2, RIGHT), (3, SIDE))] == ["1", "2 FR", "3 side"]
    assert name_of(None) is name_of(0) is None
