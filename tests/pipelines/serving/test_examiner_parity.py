"""The service answers what the night writes of the same bytes: verdict, signals, lines and pictures."""

from __future__ import annotations

import asyncio
import wave
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from model_registry.models.speech.sound import AUDIO_HZ, example_sounds
from pipelines.decode.limits import Limits, Sampling
from pipelines.risk.policy import load_policy
from pipelines.serving.contract import FIRST_SCREENING, Look, Upload
from pipelines.serving.examiner import Examiner
from pipelines.text.words.lexicon import load_lexicons
from tests.footage import Tone, corners, noise, write_film
from tests.media import real_files, real_media
from tests.plain_night import plain_night

LIMITS = Limits()
LURE = "Cash out fast, add me on WhatsApp +44 7700 900123"
TEXT = "casino bonus, place your bet now; 加微信 abc12345 领红包"


def write_picture(path):
    """A caption that asks for contact."""
    picture = Image.new("RGB", (640, 360), (30, 60, 90))
    ImageDraw.Draw(picture).text((20, 150), "WhatsApp +44 7700 900123", font=ImageFont.load_default(40), fill="white")
    picture.save(path)


def write_wav(path, sound):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(AUDIO_HZ)
        out.writeframes(np.asarray(sound, np.int16).tobytes())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """By name: pictures, films with sound, damage, junk, and what is real on this machine."""
    folder = tmp_path_factory.mktemp("files")
    found = {name: folder / name for name in ("caption.png", "vowels.wav", "junk.mp4", "empty.jpg", "cut.mp4")}
    write_picture(found["caption.png"])
    write_wav(found["vowels.wav"], np.tile(example_sounds()[0], 3))
    found["junk.mp4"].write_bytes(b"no video at all" * 100)
    found["empty.jpg"].touch()
    film = write_film(folder / "film.mp4", seconds=33, fps=4, size=(160, 90), draw=corners, tone=Tone(33.0))
    whole = write_film(folder / "whole.mp4", seconds=6, fps=10, size=(320, 180), draw=noise, flags="faststart")
    found["cut.mp4"].write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return {**found, "film.mp4": film, **_real()}


def _real():
    found = [media.path for media in real_files("image")[:2] + real_files("clip")[:1]]
    if folder := real_media():
        found += [
            folder / "audio" / "pywhispercpp" / "jfk.wav",
            *sorted((folder / "audio" / "zh_tts").glob("*.wav"))[:1],
        ]
    return {path.name: path for path in found if path.is_file()}


@pytest.fixture(scope="module")
def setup(lite):
    """Every score counts: a policy that lets signals through at the floor, in the night and in the service."""
    policy = load_policy("default")
    rules = tuple(replace(rule, abstain=(0.02, rule.abstain[1]), min_duration_ms=0) for rule in policy.rules)
    sampling = Sampling(frame_side=lite.frame_side)
    return lite, replace(policy, rules=rules), sampling, LIMITS, load_lexicons()


@pytest.fixture(scope="module")
def night(setup, files, tmp_path_factory):
    bundle, policy, sampling, limits, lexicons = setup
    rows = [{"video_id": name, "uri": str(path), "title": LURE} for name, path in files.items()]
    folder = tmp_path_factory.mktemp("night")
    return plain_night(folder, rows, bundle, policy, sampling, limits, lexicons)


@pytest.fixture(scope="module")
def examiner(setup):
    found = Examiner.of(*setup, workers=2, queue_size=100)
    yield found
    found.close()


@pytest.fixture(scope="module")
def answers(examiner, files):
    """All files at once, so that two threads share the models."""

    async def ask():
        uploads = [Upload(name, path, title=LURE) for name, path in files.items()]
        return await asyncio.gather(*(examiner.check(upload) for upload in uploads))

    return dict(zip(files, asyncio.run(ask()), strict=True))


def rounded(value):
    """Floats to what two batches may differ by, everything else as it is."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def test_verdicts_are_those_of_the_night(night, answers, files):
    suggestions, codes = set(), set()
    for name in files:
        [wanted] = night.of("verdicts", name)
        verdict = dict(answers[name].verdict)
        assert verdict.pop("video_id") == name
        assert (wanted.pop("uri"), verdict.pop("uri")) == (str(files[name]), None)
        assert abs((wanted.pop("decided_at") - verdict.pop("decided_at")).total_seconds()) < 600
        assert verdict == rounded(wanted), name
        suggestions.add(verdict["suggestion"])
        codes.add(verdict["error_code"])
    assert "review" in suggestions
    assert {None, "empty_file"} < codes
    assert codes & {"truncated", "damaged"}


def test_signals_and_lines_are_those_of_the_night(night, answers, files):
    forms = set()
    for name in files:
        assert list(answers[name].signals) == rounded(night.of("signals", name)), name
        assert list(answers[name].lines) == rounded(night.of("transcripts", name)), name
        forms |= {signal["form"] for signal in answers[name].signals}
    assert {"OCR", "Text"} <= forms
    assert "Image" in forms or real_media() is None  # what is drawn here shows models nothing
    assert answers["caption.png"].lines


def test_pictures_are_those_of_the_night(night, answers, files):
    for name in files:
        sha256 = answers[name].verdict["content_sha256"]
        wanted = {key: webp for key, webp in night.evidence.items() if key.startswith(f"{sha256}-")}
        assert {f"{sha256}-{ms}": webp for ms, webp in answers[name].evidence.items()} == wanted, name
    assert any(answer.evidence for answer in answers.values())


def test_every_model_that_looks_listens_or_reads_had_its_say(lite, answers):
    """The speaker's voice counts only beside other uploads, and nobody asks for it here."""
    steps = {step for answer in answers.values() for step in answer.took_ms}
    assert {ref.name for ref in (lite.tower, *lite.frame_models, *lite.heads, lite.ocr)} <= steps
    assert {"hash", "decode", "transcribe", "read", "judge"} <= steps


def test_a_text_alone_tells_what_it_tells_as_a_title(setup, files, examiner, tmp_path):
    rows = [{"video_id": "titled", "uri": str(files["vowels.wav"]), "title": TEXT, "description": LURE}]
    bundle, policy, sampling, limits, lexicons = setup
    wanted = plain_night(tmp_path, rows, bundle, policy, sampling, limits, lexicons).of("signals", "titled")
    answer = asyncio.run(examiner.check(Upload("words", title=TEXT, description=LURE)))
    assert [own | {"end_ms": 0, "evidence_ms": 0} for own in wanted if own["form"] == "Text"] == rounded(
        list(answer.signals)
    )
    assert len(answer.signals) >= 2
    verdict = answer.verdict
    assert (verdict["complete"], verdict["error_code"], verdict["duration_ms"]) == (True, None, 0)
    assert verdict["content_sha256"] is None
    assert verdict["suggestion"] != "pass"


def test_a_first_screening_looks_at_frames_as_the_night_does(night, examiner, files):
    names = ["caption.png", "film.mp4"]
    for name in names:
        answer = asyncio.run(examiner.check(Upload(name, files[name], title=LURE, looks=FIRST_SCREENING)))
        wanted = [signal for signal in night.of("signals", name) if signal["form"] in ("Image", "Text")]
        seen = [signal for signal in answer.signals if signal["form"] == "Image"]
        assert seen == rounded([signal for signal in wanted if signal["form"] == "Image"])
        assert {signal["label"] for signal in answer.signals} == {signal["label"] for signal in wanted}
        assert answer.verdict["complete"]
        assert answer.lines == []
        assert {"rapid_ocr", "transcribe", "views"}.isdisjoint(answer.took_ms)


@pytest.mark.parametrize(
    ("looks", "code"),
    [
        ({Look.VISUAL, Look.TEXT}, "no_video"),  # a picture was wanted, and there is none
        ({Look.SPEECH}, None),
        ({Look.TEXT}, None),
        ({Look.VISUAL, Look.SPEECH}, None),
    ],
)
def test_sound_is_complete_once_it_was_listened_to_or_nobody_wants_a_picture(examiner, files, looks, code):
    answer = asyncio.run(examiner.check(Upload("sound", files["vowels.wav"], title="hum", looks=frozenset(looks))))
    assert answer.verdict["error_code"] == code
    assert answer.verdict["suggestion"] == ("review" if code else "pass")
