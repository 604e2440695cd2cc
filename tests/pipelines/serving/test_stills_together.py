"""Stills of several uploads are rows of one table: each gets the answer that it gets alone, and its own faults only."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.predict import loaded
from pipelines.risk.policy import parse_policy
from pipelines.serving.contract import Look, Upload
from pipelines.serving.examiner import Examiner
from pipelines.serving.inspection import Inspection, inspect
from pipelines.text.words.lexicon import Lexicons, load_lexicons
from tests.fakes import FakeHead, FakeTower, fake_ref
from tests.footage import corners, write_film

RULES = [{"label": "Gambling", "abstain": [0.4, 0.8], "severity": 3, "min_duration_ms": 0}]
POLICY = parse_policy({"name": "ours", "version": "1", "rule": RULES}, "0" * 64)
FACE = frozenset({Look.VISUAL})
COLOURS = {"green": (0, 255, 0), "red": (255, 0, 0), "black": (0, 0, 0)}


class Watched:
    """The tower: notes how many frames each call has, and lets none end before it is told to."""

    def __init__(self, predict):
        self.predict, self.sizes, self.refuses = predict, [], None
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, batch):
        self.sizes.append(len(batch))
        self.begun.set()
        assert self.go.wait(20)
        if self.refuses is not None and any((frame[0, 0] == self.refuses).all() for frame in batch):
            raise ValueError("this colour is not for me")
        return self.predict(batch)


@pytest.fixture
def examiner(monkeypatch):
    """One worker, warm, and its tower."""
    bundle = PinnedBundle("fakes", "1", 32, fake_ref(FakeTower), (fake_ref(FakeHead),))
    words = Lexicons(tuple(lexicon for lexicon in load_lexicons().lexicons if lexicon.name.endswith("en")))
    with closing(Examiner.of(bundle, POLICY, Sampling(frame_side=32), Limits(), words)) as found:
        found.warm()
        model = loaded(fake_ref(FakeTower), "cpu", 1)
        found.tower = Watched(model.predict)
        monkeypatch.setattr(model, "predict", found.tower)
        yield found
        found.tower.go.set()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """By their colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, colour in COLOURS.items():
        Image.fromarray(np.full((48, 64, 3), colour, np.uint8)).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in COLOURS}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two windows without sound."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=35, fps=1, draw=corners)


def answers(examiner, first, *behind, gone=()):
    """Have `behind` wait while `first` is looked at; return answers by id, in the order in which they came."""
    came = {}

    async def ask(upload):
        came[upload.upload_id] = await examiner.check(upload)

    async def crowd():
        tasks = {first.upload_id: asyncio.create_task(ask(first))}
        assert await asyncio.to_thread(examiner.tower.begun.wait, 20)
        tasks |= {upload.upload_id: asyncio.create_task(ask(upload)) for upload in behind}
        await asyncio.sleep(0)
        assert examiner.waiting == len(behind)
        for name in gone:
            tasks.pop(name).cancel()
        await asyncio.sleep(0.05)
        examiner.tower.go.set()
        await asyncio.gather(*tasks.values())

    asyncio.run(crowd())
    return came


def alone(examiner, upload):
    examiner.tower.go.set()
    return asyncio.run(examiner.check(upload))


def said(answer):
    return answer.verdict | {"decided_at": None}, answer.signals, answer.evidence, sorted(answer.took_ms)


def test_stills_that_wait_are_looked_at_at_once_and_each_gets_the_answer_it_gets_alone(examiner, pictures):
    uploads = [Upload(name, path, title=name, looks=FACE | {Look.TEXT}) for name, path in pictures.items()]
    wanted = {upload.upload_id: said(alone(examiner, upload)) for upload in uploads}
    examiner.tower.go.clear()
    examiner.tower.begun.clear()
    examiner.tower.sizes.clear()
    came = answers(examiner, Upload("first", pictures["red"], looks=FACE), *uploads)
    assert examiner.tower.sizes == [1, 3]
    assert {name: said(came[name]) for name in wanted} == wanted
    assert [segment["label"] for segment in came["green"].verdict["segments"]] == ["Gambling"]
    assert set(came["green"].evidence) == {0}


def test_a_still_that_a_model_cannot_take_costs_the_others_nothing(examiner, pictures):
    examiner.tower.refuses = COLOURS["red"]
    uploads = [Upload(name, path, looks=FACE) for name, path in pictures.items()]
    came = answers(examiner, Upload("first", pictures["black"], looks=FACE), *uploads)
    assert examiner.tower.sizes == [1, 3, 1, 1, 1]
    assert {name: came[name].verdict["error_code"] for name in COLOURS} == {
        "green": None,
        "red": "model_failed",
        "black": None,
    }
    assert "this colour is not for me" in came["red"].verdict["error_message"]


def test_a_film_among_them_keeps_nobody_waiting_who_was_before_it(examiner, pictures, film):
    uploads = [Upload("before", pictures["green"], looks=FACE), Upload("film", film, looks=FACE)]
    uploads.append(Upload("after", pictures["green"], looks=FACE))
    came = answers(examiner, Upload("first", pictures["black"], looks=FACE), *uploads)
    assert list(came) == ["first", "before", "film", "after"]
    assert sum(examiner.tower.sizes[:2]) == 2  # no frame of the film is looked at with a still
    assert came["film"].verdict["duration_ms"] == 35_000
    assert all(answer.verdict["complete"] for answer in came.values())


def test_what_is_no_still_or_is_looked_at_otherwise_or_is_no_more_wanted_is_left_out(examiner, pictures, tmp_path):
    short = write_film(tmp_path / "short.mp4", seconds=3, fps=1, draw=corners)
    uploads = [
        Upload("green", pictures["green"], looks=FACE),
        Upload("words", pictures["green"], title="hello", looks=FACE | {Look.TEXT}),
        Upload("short", short, looks=FACE),
        Upload("damaged", tmp_path / "missing", looks=FACE),
        Upload("gone", pictures["red"], looks=FACE),
        Upload("text", title="hello", looks=frozenset({Look.TEXT})),
        Upload("black", pictures["black"], looks=FACE),
    ]
    came = answers(examiner, Upload("first", pictures["black"], looks=FACE), *uploads, gone=["gone"])
    assert examiner.tower.sizes == [1, 2, 1, 3]  # green and black, words alone, the short film's three frames
    assert came["damaged"].verdict["error_code"] == "not_found"
    assert [came[name].verdict["complete"] for name in ("green", "words", "short", "text", "black")] == [True] * 5


def test_a_film_that_nobody_waits_for_leaves_its_child_to_the_next(examiner, pictures, film):
    examiner.tower.go.set()
    [child] = examiner._children
    left = Inspection(examiner._opened, Upload("left", film, looks=FACE), child, go_on=Mock(side_effect=KeyError))
    left.begin()
    assert not left.has_ended
    with pytest.raises(KeyError) as kept:  # and all that it points to
        left.answer()
    assert child.process is None  # what it has still to say is nobody's
    answer = inspect(examiner._opened, Upload("next", pictures["green"], looks=FACE), child)
    assert (answer.verdict["complete"], answer.verdict["labels"][0]["label"]) == (True, "Gambling")
    assert kept.tb
