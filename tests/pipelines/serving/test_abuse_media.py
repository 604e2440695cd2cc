"""Files made to break a decoder, through the door to the real examiner: each a verdict or a clear 4xx, none a crash."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from starlette.testclient import TestClient

from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.risk.policy import load_policy
from pipelines.serving.api.door import build
from pipelines.serving.api.settings import Settings
from pipelines.serving.examiner import Examiner
from tests.fakes import FakeTower, fake_ref
from tests.poison import Poison, write_poison

STATUS = {
    "empty_file": 400,
    "too_large": 413,
    "too_long": 413,
    "too_many_pixels": 413,
    "unsupported_format": 415,
    "playlist_refused": 415,
}
LONGEST_BYTES = 4 << 20
NOT_SENT = {"changed", "not_a_file", "not_found", "not_readable", "too_large"}  # what a path can be and bytes cannot
GROWTH_BYTES = 300 << 20


@pytest.fixture(scope="module")
def poison(tmp_path_factory) -> list[Poison]:
    files = write_poison(tmp_path_factory.mktemp("poison") / "files")
    return [one for one in files if not one.codes & NOT_SENT and one.path.stat().st_size < LONGEST_BYTES]


@pytest.fixture(scope="module")
def door() -> Iterator[TestClient]:
    """No head: nothing that is decoded raises a signal."""
    bundle = PinnedBundle("fakes", "1", 32, fake_ref(FakeTower), ())
    limits, sampling = Limits(stall_seconds=5.0), Sampling(frame_side=32)
    with closing(Examiner.of(bundle, load_policy("default"), sampling, limits)) as examiner:
        yield TestClient(build(lambda: examiner, Settings()), raise_server_exceptions=False)


def send(door: TestClient, one: Poison):
    """Under its own name, which may be any, as what it is not."""
    name = one.path.name.encode("utf-8", "replace").decode()
    return door.post("/v1/check", files={"file": (name, one.path.read_bytes(), "image/png")})


def test_every_one_is_a_verdict_or_a_clear_refusal(door, poison, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    clean = next(one for one in poison if one.name == "clean")
    assert send(door, clean).json()["suggestion"] == "pass"
    before = psutil.Process().memory_info().rss
    for one in poison:
        answer = send(door, one)
        said = answer.json()
        code = said["error"]["code"] if "error" in said else said["error_code"]
        assert code in one.codes, (one.name, said)
        assert answer.status_code == (STATUS.get(code, 422) if "error" in said else 200), (one.name, said)
        assert said.get("suggestion") != "pass" or code is None
        assert str(tmp_path) not in answer.text  # where it was kept is nobody's business
    assert len(poison) > 60
    assert psutil.Process().memory_info().rss - before < GROWTH_BYTES
    assert send(door, clean).json()["suggestion"] == "pass"
    assert list(tmp_path.iterdir()) == []


def test_what_was_seen_up_to_a_cut_is_for_review_and_what_was_not_seen_is_refused(door, poison):
    by_name = {one.name: one for one in poison}
    seen = send(door, by_name["cut-5-made.mkv"])
    assert seen.status_code == 200
    assert (seen.json()["suggestion"], seen.json()["complete"]) == ("review", False)
    assert seen.json()["error_code"] == "truncated"
    half = by_name["clean"].path.read_bytes()[:3000]  # its index is at the end
    unseen = door.post("/v1/check", files={"file": half})
    assert (unseen.status_code, unseen.json()["error"]["code"]) == (422, "damaged")


def test_a_file_that_names_others_reaches_none_of_them(door, tmp_path: Path):
    (tmp_path / "other.ts").write_bytes(b"x")
    for text in (
        f"#EXTM3U\n#EXTINF:5,\n{tmp_path}/other.ts\n",
        f"ffconcat version 1.0\nfile {tmp_path}/other.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{tmp_path}/other.ts"/></svg>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><MPD>&b;</MPD>',
    ):
        answer = door.post("/v1/check", files={"file": ("a.mp4", text.encode(), "video/mp4")})
        assert answer.status_code == 415, (text, answer.text)
        assert answer.json()["error"]["code"] in ("playlist_refused", "unsupported_format")
        assert "root:" not in answer.text
