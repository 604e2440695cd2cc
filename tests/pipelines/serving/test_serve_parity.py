"""Serve answers what the night writes of the same real files: every model of `lite` in a deployment of its own."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.ports import free_port
from jobs.session import ray_up
from model_registry.artifacts import artifact, fetch
from model_registry.bundles import BUNDLES, PinnedBundle
from model_registry.errors import NightjarError
from model_registry.model import InputKind, ModelRef
from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.risk.policy import POLICIES, load_policy
from pipelines.rows import windows_of_frames
from pipelines.serving.application import ENVIRONMENT
from pipelines.serving.ingress import Parts
from pipelines.serving.placement import Placement, Room
from pipelines.serving.running import deploy, start
from pipelines.serving.served import Served, ServedRef
from pipelines.serving.service import Service
from pipelines.text.words.lexicon import with_shipped
from tests.media import real_files, real_media
from tests.plain_night import PlainNight, plain_night

pytestmark = pytest.mark.usefixtures("lite")
NAMES = [spec.name for spec in BUNDLES["lite"].specs if spec.reads is not InputKind.EMBEDDING]
ROOM = Room(cpus=1.6)  # of the two CPUs that the tests' Ray has
APP = "real"
LURE = "Cash out fast, add me on WhatsApp +44 7700 900123"
TEXTS = [LURE, "an ordinary day at the lake", "casino bonus, place your bet now; 加微信 abc12345 领红包"]
SAME = 1e-5  # scores: an upload is computed in other batches than a night's windows
PORT = free_port()


@pytest.fixture(scope="module")
def files(lite: PinnedBundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two videos that come with a package, one with sound, and a caption; pictures and speech where there are some."""
    caption = tmp_path_factory.mktemp("files") / "caption.png"
    picture = Image.new("RGB", (640, 360), (30, 60, 90))
    ImageDraw.Draw(picture).text((20, 150), LURE[20:], font=ImageFont.load_default(32), fill="white")
    picture.save(caption)
    paths = [caption, *(fetch(artifact(name)) for name in ("sample-big-buck-bunny", "sample-carphone"))]
    if folder := real_media():
        paths += [media.path for media in real_files("image")[:2]]
        paths += [folder / "audio/pywhispercpp/jfk.wav", folder / "audio/zh_tts/public_00.wav"]
    return {path.name: path for path in paths}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every score counts: the shipped policy with each rule's low at the floor."""
    text = (POLICIES / "default.toml").read_text("utf-8")
    low, rules = re.subn(r"(?m)^abstain = \[[\d.]+,", "abstain = [0.02,", text)
    assert rules > 10
    path = tmp_path_factory.mktemp("policy") / "low.toml"
    path.write_text(low, "utf-8")
    return path


@pytest.fixture(scope="module")
def night(
    lite: PinnedBundle, files: Mapping[str, Path], policy: Path, tmp_path_factory: pytest.TempPathFactory
) -> PlainNight:
    rows = [{"video_id": name, "uri": str(path), "title": LURE} for name, path in files.items()]
    sampling = Sampling(frame_side=lite.frame_side)
    folder = tmp_path_factory.mktemp("night")
    return plain_night(folder, rows, lite, load_policy(str(policy)), sampling, Limits(), with_shipped(()))


@pytest.fixture(scope="module")
def serving(lite: PinnedBundle, policy: Path) -> Iterator[str]:
    """The whole house on Ray Serve, door and all; yields its address."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    with ray_up(cpus=2):
        from ray import serve

        start("127.0.0.1", PORT)
        deploy(Service(placement=Placement.APART, policy=str(policy)), ROOM, APP, parts=Parts())
        yield f"http://127.0.0.1:{PORT}"
        serve.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def answers(night: PlainNight, serving: str, files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """What callers get for the bytes of each file."""
    return {name: check(serving, path, title=LURE, id=name) for name, path in files.items()}


def check(url: str, path: Path | None = None, **fields: str) -> dict[str, Any]:
    body = fields | ({"file": base64.b64encode(path.read_bytes()).decode()} if path else {})
    headers = {"Content-Type": "application/json", "X-Deadline-Ms": "300000"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/v1/check", json.dumps(body).encode(), headers), timeout=300
    ) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


@pytest.fixture(scope="module")
def looked_at(lite: PinnedBundle, files: Mapping[str, Path]) -> dict[InputKind, list[Any]]:
    """Frames and sounds as the decoder gets them out of the files, and texts."""
    child, frames, sounds = DecodeChild(Limits()), list[Any](), list[Any]()
    for path in files.values():
        request = Request("0" * 64, str(path), path.stat().st_size, Sampling(frame_side=lite.frame_side), Limits())
        for batch in child.windows(request):
            table = pa.Table.from_batches([batch])
            frames += [np.array(frame) for window in windows_of_frames(table) for frame in window[::2]]
            sounds += [np.frombuffer(sound, np.int16) for sound in table["audio_16k"].to_pylist() if sound]
    child.close()
    return {InputKind.FRAME: frames, InputKind.SOUND: sounds, InputKind.TEXT: TEXTS}


def test_a_ray_serve_that_is_up_keeps_its_address(serving: str) -> None:
    start("127.0.0.1", PORT)
    with pytest.raises(NightjarError, match=f"listens on 127.0.0.1 port {PORT}, wanted 127.0.0.1 port {PORT - 1}"):
        start("127.0.0.1", PORT - 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_answers_through_serve_what_it_answers_here(
    serving: str, lite: PinnedBundle, looked_at: Mapping[InputKind, list[Any]], name: str
) -> None:
    ref = next(ref for ref in lite.models if ref.name == name)
    items = [*ref.model_class.examples(), *looked_at[ref.spec.reads]]
    assert len(items) > len(ref.model_class.examples())
    model, served = ref.load(), _served(ref)
    here = [found for item in items for found in model.predict([item])]
    there = [found for item in items for found in served.predict([item])]
    together = [found for start in range(0, len(items), 16) for found in served.predict(items[start : start + 16])]
    for one, alone, batched in zip(here, there, together, strict=True):
        _same(one, alone)
        _same(one, batched)


def _served(ref: ModelRef) -> Served:
    return Served(ServedRef.of(ref, APP))


def _same(one: Any, other: Any) -> None:
    """Equal to 1e-5, however deep the numbers lie."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_allclose(one, other, atol=SAME)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=SAME)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            _same(mine, theirs)
    elif dataclasses.is_dataclass(one):
        _same(dataclasses.astuple(one), dataclasses.astuple(other))  # type: ignore[arg-type]
    else:
        assert one == other


def near(value: Any) -> Any:
    """Floats to 1e-5, everything else as it is."""
    if isinstance(value, float):
        return pytest.approx(value, abs=SAME)
    if isinstance(value, dict):
        return {key: near(each) for key, each in value.items()}
    return [near(each) for each in value] if isinstance(value, list) else value


def test_verdicts_are_those_of_the_night(
    night: PlainNight, answers: Mapping[str, dict[str, Any]], lite: PinnedBundle
) -> None:
    for name, answer in answers.items():
        [wanted] = night.of("verdicts", name)
        del wanted["uri"], wanted["decided_at"]
        assert {column: answer[column] for column in wanted} == near(wanted), name
        assert (answer["video_id"], answer["bundle"]) == (name, lite.id)


def test_signals_and_transcripts_are_those_of_the_night(
    night: PlainNight, answers: Mapping[str, dict[str, Any]]
) -> None:
    for name, answer in answers.items():
        assert answer["signals"] == near(night.of("signals", name)), name
        assert answer["transcript"] == near(night.of("transcripts", name)), name
    every = [signal for answer in answers.values() for signal in answer["signals"]]
    sources = {signal["source"].partition("@")[0] for signal in every}
    assert {"Image", "Text", "OCR"} <= {signal["form"] for signal in every}
    if real_media():
        assert "open_nsfw" in sources
        assert "ask not what your country can do for you" in answers["jfk.wav"]["transcript"][0]["text"].lower()


def test_every_model_had_its_say(answers: Mapping[str, dict[str, Any]], lite: PinnedBundle) -> None:
    """The speaker's voice counts only beside other uploads, and nobody asks for it here."""
    steps = {step for answer in answers.values() for step in answer["took_ms"]}
    assert {ref.name for ref in (lite.tower, *lite.frame_models, *lite.heads, lite.ocr) if ref} <= steps
    assert {"transcribe", "read"} <= steps


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_alone_tells_what_it_tells_a_night_as_a_title(
    serving: str, lite: PinnedBundle, policy: Path, files: Mapping[str, Path], tmp_path: Path, text: str
) -> None:
    silent = files["carphone_pristine.mp4"]
    contents = [{"video_id": "titled", "uri": str(silent), "title": text}]
    shown = Sampling(frame_side=lite.frame_side)
    told = plain_night(tmp_path, contents, lite, load_policy(str(policy)), shown, Limits(), with_shipped(()))
    wanted = [row | {"end_ms": 0, "evidence_ms": 0} for row in told.of("signals", "titled") if row["form"] == "Text"]
    assert check(serving, title=text)["signals"] == near(wanted)
