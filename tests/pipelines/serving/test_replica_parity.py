"""Every model of `lite` answers through Ray Serve what it answers here, and so does the whole checker."""

from __future__ import annotations

import dataclasses
import http.client
import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jobs.session import ray_up
from model_registry.bundles import BUNDLES
from model_registry.model import InputKind
from pipelines.serving.application import ENVIRONMENT, LOGGING
from pipelines.serving.ingress import Machine, examiner
from pipelines.serving.placement import Placement, Room
from pipelines.serving.running import deploy
from pipelines.serving.served import ServedRef
from pipelines.serving.service import Plan, Service, plan
from tests.serving_parts import HOUSE

NAMES = [spec.name for spec in BUNDLES["lite"].specs if spec.reads is not InputKind.EMBEDDING]
ROOM = Room(cpus=1.6)  # of the two CPUs that the tests' Ray has
APART = Service(placement=Placement.APART)
with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    PORT = found.getsockname()[1]


@pytest.fixture(scope="module")
def serving(lite: Any) -> Iterator[None]:
    """The house on Ray Serve, each model in a deployment of its own."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    with ray_up(cpus=2):
        from ray import serve

        serve.start(http_options={"host": "127.0.0.1", "port": PORT}, logging_config=LOGGING)
        deploy(APART, ROOM, "real", parts=HOUSE)
        yield
        serve.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_answers_through_serve_what_it_answers_here(serving: None, lite: Any, name: str) -> None:
    ref = next(ref for ref in lite.models if ref.name == name)
    examples = ref.model_class.examples()
    here = [ref.load().predict([item])[0] for item in examples]
    served = ServedRef.of(ref, "real").load().predict(examples)
    assert len(served) == len(here)
    for one, other in zip(here, served, strict=True):
        _same(one, other)


def _same(one: Any, other: Any) -> None:
    """Equal to 1e-4, however deep the numbers lie."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_allclose(one, other, atol=1e-4)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-4)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            _same(mine, theirs)
    elif dataclasses.is_dataclass(one):
        _same(dataclasses.astuple(one), dataclasses.astuple(other))
    else:
        assert one == other


def picture() -> bytes:
    image = Image.fromarray(np.random.default_rng(7).integers(0, 255, (270, 480, 3), np.uint8)).resize((640, 360))
    ImageDraw.Draw(image).text((40, 60), "CASINO BONUS", font=ImageFont.load_default(64), fill="white")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def test_the_checker_says_apart_what_it_says_here(serving: None, lite: Any, tmp_path: Path) -> None:
    import asyncio

    from pipelines.serving.contract import Upload
    from tests.serving_parts import said

    found = plan(APART)
    checker = examiner(Plan(found.bundle, found.policy, found.lexicons), APART, Machine(Placement.TOGETHER, workers=1))
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture())
    here = said(asyncio.run(checker.check(Upload("a picture", path, title="free spins tonight"))))
    checker.close()

    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request("POST", "/check", picture())
    answer = connection.getresponse()
    served = json.loads(answer.read())
    assert answer.status == 200
    assert served["verdict"]["bundle"] == lite.id
    assert served["signals"]
    _same(here, served)
