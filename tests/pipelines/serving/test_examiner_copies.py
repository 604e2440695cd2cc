"""A single upload is held to a reference bank: what it is asked with, what it answers, and what fails."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest

from model_registry.bundles import PinnedBundle
from pipelines.copyright.picture.views import View
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Pieces
from pipelines.risk.policy import parse_policy
from pipelines.rows import SOURCES
from pipelines.serving.contract import Look, Upload
from pipelines.serving.examiner import Examiner
from pipelines.stage import run_local
from tests.fakes import FakeHead, FakeTower, fake_ref
from tests.footage import Tone, corners, write_film
from tests.pipelines.copyright.matches import matched, reference, row

BUNDLE = PinnedBundle("fakes", "1", 64, fake_ref(FakeTower), (fake_ref(FakeHead),))
RULES = [{"label": "Copyright", "abstain": [0.5, 0.9], "action": "block", "min_duration_ms": 3000, "severity": 4}]
POLICY = parse_policy({"name": "ours", "version": "1", "rule": RULES}, "0" * 64)
SAMPLING = Sampling(frame_side=64)
COPIES = frozenset({Look.COPYRIGHT})


class Finder:
    """Finds one film in whatever it is asked about, and remembers what it was asked."""

    source = "bank@1"

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    def match(self, views, peaks, stills, duration_ms):
        self.asked.append((views, peaks, stills, duration_ms))
        [sha256] = set(views["content_sha256"].to_pylist())
        return matched(self.folder, [row(sha256, "solaris", start_ms=1000, end_ms=9000)], [reference("solaris")])


class FailingFinder(Finder):
    """Raises, as a bank does whose files went away."""

    def match(self, views, peaks, stills, duration_ms):
        raise OSError(f"no bank for {duration_ms} ms")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    return write_film(folder / "film.mp4", seconds=32, fps=2, size=(128, 96), draw=corners, tone=Tone(32.0))


@pytest.fixture
def asked(film, tmp_path):
    """Check the film with a finder; returns the answer."""

    def ask(finder, looks=COPIES):
        examiner = Examiner.of(BUNDLE, POLICY, SAMPLING, Limits(), matcher=finder)
        try:
            assert examiner.described().bank == "bank@1"
            return asyncio.run(examiner.check(Upload("film", film, title="Solaris", looks=looks)))
        finally:
            examiner.close()

    return ask


def test_a_copy_is_a_segment_with_its_reference_and_a_picture(asked, tmp_path):
    answer = asked(Finder(tmp_path / "matches"))
    [segment] = answer.verdict["segments"]
    assert (segment["reference_id"], segment["start_ms"], segment["end_ms"]) == ("solaris", 1000, 9000)
    assert answer.verdict["suggestion"] in ("review", "block")
    [match] = answer.matches
    assert "video_id" not in match
    assert match["reference_id"] == "solaris"
    assert set(answer.evidence) == {segment["evidence_ms"]}
    assert [signal["label"] for signal in answer.signals] == [segment["label"]]


def test_the_bank_is_asked_with_what_a_night_keeps(asked, film, tmp_path):
    finder = Finder(tmp_path / "matches")
    sha256 = asked(finder).verdict["content_sha256"]
    [(views, peaks, stills, duration_ms)] = finder.asked
    source = {"content_sha256": [sha256], "uri": [str(film)], "bytes": [film.stat().st_size]}
    stages = nightly_stages(BUNDLE, SAMPLING, Limits(), Machines(), str(tmp_path / "night"))
    run_local(stages, pa.table(source, schema=SOURCES))
    pieces = Pieces(tmp_path / "night")
    assert views.equals(pieces.rows("views", [sha256]))
    assert peaks.equals(pieces.rows("peaks", [sha256]))
    assert stills.equals(pieces.rows("stills", [sha256]))
    assert stills.num_rows > 0
    assert duration_ms == pieces.contents[sha256].duration_ms
    assert peaks.num_rows > 0
    assert View.FRAME in views["view"].to_pylist()


def test_who_does_not_ask_for_copies_is_not_matched(asked, tmp_path):
    finder = Finder(tmp_path / "matches")
    answer = asked(finder, frozenset({Look.VISUAL}))
    assert (finder.asked, list(answer.matches)) == ([], [])
    assert {"views", "listen"}.isdisjoint(answer.took_ms)


def test_a_bank_that_fails_makes_the_answer_incomplete(asked, tmp_path):
    verdict = asked(FailingFinder(tmp_path)).verdict
    assert (verdict["suggestion"], verdict["error_code"]) == ("review", "model_failed")
    assert verdict["error_message"] == "matching failed with OSError: no bank for 32000 ms"
