"""The examiner keeps its promises to many callers: room, deadlines, faults that cost one upload, and an orderly end."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.predict import loaded
from pipelines.risk.policy import load_policy, parse_policy
from pipelines.serving.ahead import ReadAhead
from pipelines.serving.contract import Look, Refused, Upload
from pipelines.serving.examiner import Examiner
from pipelines.text.words.lexicon import Lexicons, load_lexicons
from tests.fakes import FailingHead, FakeHead, FakeTower, NanHead, fake_ref
from tests.footage import Tone, corners, write_film
from tests.plain_night import plain_night

RULES = [{"label": "Gambling", "abstain": [0.4, 0.8], "severity": 3, "min_duration_ms": 0}]
POLICY = parse_policy({"name": "ours", "version": "1", "rule": RULES}, "0" * 64)
SAMPLING, LIMITS = Sampling(frame_side=32), Limits()
FACE = frozenset({Look.VISUAL})


def bundle_of(*heads):
    return PinnedBundle("fakes", "1", 32, fake_ref(FakeTower), tuple(fake_ref(head) for head in heads))


def examiner_of(*heads, lexicons=None, limits=LIMITS, **options):
    return Examiner.of(bundle_of(*heads), POLICY, SAMPLING, limits, lexicons, **options)


@pytest.fixture(scope="module")
def examiner():
    with closing(examiner_of(FakeHead, workers=2)) as found:
        yield found


@pytest.fixture(scope="module")
def green(tmp_path_factory):
    """A picture on which the fake head sees gambling."""
    path = tmp_path_factory.mktemp("green") / "green.png"
    Image.fromarray(np.full((48, 64, 3), (0, 255, 0), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three windows."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=65, fps=2, draw=corners, tone=Tone(65.0))


def ask(examiner, upload, deadline_s=None):
    return asyncio.run(examiner.check(upload, deadline_s))


class HeldUp:
    """A model that waits until it is let go, and counts the calls."""

    def __init__(self, predict):
        self.predict, self.go, self.calls, self.begun = predict, threading.Event(), 0, threading.Event()

    def __call__(self, batch):
        self.calls += 1
        self.begun.set()
        assert self.go.wait(20)
        return self.predict(batch)

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.wait, 20)


@pytest.fixture
def slow(monkeypatch):
    """An examiner of one worker and a queue of two, warm, whose tower is held up from now on."""
    model = loaded(fake_ref(FakeTower), "cpu", 1)
    with closing(examiner_of(FakeHead, queue_size=2)) as examiner:
        examiner.warm()
        tower = HeldUp(model.predict)
        monkeypatch.setattr(model, "predict", tower)
        yield examiner, tower
        tower.go.set()


@pytest.mark.parametrize("failing", [FailingHead, NanHead])
def test_a_model_that_raises_makes_the_answer_incomplete_as_a_night_does(failing, green, film, tmp_path):
    heads = (FakeHead, failing)
    rows = [{"video_id": path.name, "uri": str(path)} for path in (green, film)]
    night = plain_night(tmp_path, rows, bundle_of(*heads), POLICY, SAMPLING, Limits())
    with closing(examiner_of(*heads)) as examiner:
        for path in (green, film):
            answer, [wanted] = ask(examiner, Upload(path.name, path)), night.of("verdicts", path.name)
            found = {name: answer.verdict[name] for name in ("suggestion", "error_code", "error_message", "segments")}
            assert found == {name: wanted[name] for name in found}
            assert (found["suggestion"], found["error_code"]) == ("review", "model_failed")
            assert failing.spec.name in found["error_message"]
            assert answer.signals == []


def test_a_good_file_after_a_bad_model_is_judged(examiner, green):
    answer = ask(examiner, Upload("green", green))
    assert [segment["label"] for segment in answer.verdict["segments"]] == ["Gambling"]
    assert set(answer.evidence) == {0}
    assert {"label", "form", "score", "start_ms", "end_ms", "evidence_ms", "source", "detail"} == set(answer.signals[0])


@pytest.mark.parametrize(
    ("content", "code"), [(None, "not_found"), (b"", "empty_file"), (b"#EXTM3U\n/etc/passwd\n", "playlist_refused")]
)
def test_what_cannot_be_read_is_an_answer_with_the_reason(examiner, tmp_path, content, code):
    path = tmp_path / "upload"
    if content is not None:
        path.write_bytes(content)
    verdict = ask(examiner, Upload("bad", path)).verdict
    assert (verdict["error_code"], verdict["suggestion"], verdict["complete"]) == (code, "review", False)


def test_limits_are_held(green):
    with closing(examiner_of(FakeHead, limits=Limits(max_pixels=100))) as small:
        assert ask(small, Upload("green", green)).verdict["error_code"] == "too_many_pixels"
    with closing(examiner_of(FakeHead, limits=Limits(max_bytes=10))) as small:
        assert ask(small, Upload("green", green)).verdict["error_code"] == "too_large"


def test_a_model_that_is_out_of_its_own_room_refuses_the_request(green, monkeypatch, examiner):
    def refuse(batch):
        raise Refused(429, "too_many_requests", f"no room for {len(batch)}", 1.0)

    monkeypatch.setattr(loaded(fake_ref(FakeTower), "cpu", 1), "predict", refuse)
    with pytest.raises(Refused, match="no room for 1"):
        ask(examiner, Upload("green", green))


def test_a_full_queue_refuses_at_once_and_empties_again(slow, green):
    examiner, tower = slow

    async def crowd():
        running = [asyncio.create_task(examiner.check(Upload("0", green)))]
        await tower.has_begun()
        running += [asyncio.create_task(examiner.check(Upload(str(n), green))) for n in (1, 2)]
        await asyncio.sleep(0)
        assert examiner.waiting == 2
        began = time.monotonic()
        with pytest.raises(Refused, match="no room"):
            examiner.admit()
        with pytest.raises(Refused) as refused:
            await examiner.check(Upload("too many", green))
        assert time.monotonic() - began < 0.5
        assert (refused.value.status, refused.value.retry_after_s >= 1) == (429, True)
        tower.go.set()
        return await asyncio.gather(*running)

    assert [answer.verdict["video_id"] for answer in asyncio.run(crowd())] == ["0", "1", "2"]
    assert examiner.waiting == 0
    assert ask(examiner, Upload("later", green)).verdict["complete"]


def test_who_is_too_late_is_told_so_and_leaves_the_queue(slow, green):
    examiner, tower = slow

    async def late():
        running = asyncio.create_task(examiner.check(Upload("slow", green), 2.0))
        await tower.has_begun()
        waiting = asyncio.create_task(examiner.check(Upload("behind", green), 0.1))
        for task in (waiting, running):
            with pytest.raises(Refused) as refused:
                await task
            assert (refused.value.status, refused.value.code) == (504, "deadline_exceeded")
            assert examiner.waiting == 0
        tower.go.set()
        return await examiner.check(Upload("next", green), 30)

    assert asyncio.run(late()).verdict["video_id"] == "next"


def test_what_nobody_waits_for_stops_at_the_next_window(slow, film, green):
    examiner, tower = slow

    async def leave():
        task = asyncio.create_task(examiner.check(Upload("film", film)))
        await tower.has_begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        tower.go.set()
        return await examiner.check(Upload("next", green))

    assert asyncio.run(leave()).verdict["complete"]
    first_window = -(-30 // FakeTower.spec.max_batch)
    assert tower.calls == first_window + 1


def test_closing_lets_what_was_taken_end_and_ends_the_children(slow, green):
    examiner, tower = slow
    [child] = examiner._children
    process = psutil.Process(child.process.pid)

    async def close():
        tasks = [asyncio.create_task(examiner.check(Upload(str(n), green))) for n in range(2)]
        await tower.has_begun()
        closed = asyncio.create_task(asyncio.to_thread(examiner.close))
        await asyncio.sleep(0.1)
        with pytest.raises(Refused) as refused:
            await examiner.check(Upload("late", green))
        assert refused.value.status == 503
        tower.go.set()
        answers = await asyncio.gather(*tasks)
        await closed
        return answers

    assert process.is_running()
    assert all(answer.verdict["complete"] for answer in asyncio.run(close()))
    assert not process.is_running()


def test_warm_starts_every_child_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = {child.pid for child in psutil.Process().children()}
    with closing(examiner_of(FakeHead, workers=2)) as examiner:
        examiner.warm()
        assert len({child.pid for child in psutil.Process().children()} - before) == 2
        assert list(tmp_path.iterdir()) == []


def test_a_killed_decode_child_costs_nothing(green):
    with closing(examiner_of(FakeHead)) as examiner:
        examiner.warm()
        for child in examiner._children:
            child.process.kill()
        assert ask(examiner, Upload("green", green)).verdict["complete"]


def test_only_what_is_wanted_is_looked_for(examiner, film):
    every = ask(examiner, Upload("film", film))
    assert {"hash", "decode", "fake_tower", "fake_head", "collect", "judge"} <= set(every.took_ms)
    assert {"views", "listen"}.isdisjoint(every.took_ms)  # no bank to match with
    assert every.verdict["duration_ms"] == 65_000


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (Upload("t", title="hello"), "a text cannot be looked at with"),
        (Upload("t", title="hello", looks=FACE), "a text cannot be looked at with visual; had here: visual"),
        (Upload("f", path=".", looks=frozenset({Look.OCR})), "the file cannot be looked at with ocr; had here: visual"),
    ],
)
def test_looks_that_leave_nothing_are_refused(examiner, upload, said):
    with pytest.raises(Refused, match=said) as refused:
        ask(examiner, upload)
    assert refused.value.status == 400


HARMLESS, TELLING = "a cat on a roof", "add me on WhatsApp +44 7700 900123"


@pytest.fixture
def noted_reader(words):
    """An examiner of one worker, and the texts that were read together."""
    read = []
    with closing(examiner_of(FakeHead, lexicons=words)) as examiner:
        own = examiner._opened.read

        def noted(texts):
            read.append(tuple(texts))
            return own._read(texts)

        examiner._opened = replace(examiner._opened, read=ReadAhead(noted))
        yield examiner, read


@pytest.fixture(scope="module")
def words():
    """Tier 1 alone."""
    few = tuple(lexicon for lexicon in load_lexicons().lexicons if lexicon.name.endswith("en"))
    return Lexicons(few)


def test_words_are_read_without_a_semantic_model_and_texts_need_no_file(words):
    with closing(examiner_of(FakeHead, lexicons=words)) as examiner:
        answer = ask(examiner, Upload("t", description="add me on WhatsApp +44 7700 900123"))
        assert {signal["form"] for signal in answer.signals} == {"Text"}
        assert answer.verdict["video_id"] == "t"
        assert "decode" not in answer.took_ms


def test_a_reader_that_fails_makes_the_answer_incomplete(words, green):
    def fail(texts):
        raise RuntimeError(f"no reader for {len(texts)}")

    with closing(examiner_of(FakeHead, lexicons=words)) as examiner:
        examiner._opened = replace(examiner._opened, read=ReadAhead(fail))
        answer = ask(examiner, Upload("t", green, title="hello"))
        verdict = answer.verdict
        assert (verdict["suggestion"], verdict["error_code"]) == ("review", "model_failed")
        assert verdict["error_message"] == "reading failed with RuntimeError: no reader for 1"
        assert answer.signals


def test_what_those_that_wait_say_is_read_along_and_each_gets_its_own_answer(words, green, noted_reader):
    alone = {title: ask(noted_reader[0], Upload(title, green, title=title)) for title in (HARMLESS, TELLING)}
    examiner, read = noted_reader
    read.clear()

    async def together():
        titles = (HARMLESS, TELLING, HARMLESS)
        return await asyncio.gather(*(examiner.check(Upload(title, green, title=title)) for title in titles))

    answers = asyncio.run(together())
    assert read == [(HARMLESS, TELLING, HARMLESS)]
    for answer in answers:
        wanted = alone[answer.verdict["video_id"]]
        assert answer.verdict | {"decided_at": None} == wanted.verdict | {"decided_at": None}
        assert answer.signals == wanted.signals
    assert {signal["form"] for signal in answers[1].signals} > {signal["form"] for signal in answers[0].signals}


def test_what_a_caller_said_who_has_gone_is_not_read_along(green, noted_reader):
    examiner, read = noted_reader

    async def call():
        first = asyncio.create_task(examiner.check(Upload("first", green, title=HARMLESS)))
        gone = asyncio.create_task(examiner.check(Upload("gone", green, title=TELLING)))
        await asyncio.sleep(0)
        gone.cancel()
        await first

    asyncio.run(call())
    assert read == [(HARMLESS,)]


def test_products_take_no_more_threads_than_a_model(green):
    with threadpool_limits(2, user_api="blas"), closing(examiner_of(FakeHead, threads=1)):
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


def test_it_says_which_versions_answer(words):
    policy = load_policy("default")
    with closing(Examiner.of(bundle_of(FakeHead), policy, SAMPLING, Limits(), words)) as examiner:
        said = examiner.described()
    assert (said.bundle, said.policy, said.lexicons, said.bank) == (bundle_of(FakeHead).id, policy.id, words.id, None)
    assert [(model["name"], model["version"]) for model in said.models] == [("fake_tower", "1"), ("fake_head", "1")]
    assert said.models[1]["labels"] == list(FakeHead.spec.labels)
    assert said.models[1]["caveat"] == "a fake"
