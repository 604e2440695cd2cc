"""Keys: hashed at rest, for their owner's eyes, seen by a running service, never lost to two writers."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from model_registry.errors import UsageError
from pipelines.serving.api import keys as module
from pipelines.serving.api.keys import SCOPES, Buckets, Key, KeyFile


@pytest.fixture
def file(tmp_path, monkeypatch) -> KeyFile:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    return KeyFile(tmp_path / "keys" / "keys.json")


def test_the_file_knows_a_token_and_does_not_hold_it(file):
    key, token = file.create("uploads")
    text = file.path.read_text()
    assert token not in text
    assert token.removeprefix("nj_") not in text
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.find(token) == key
    assert file.find(token[:-1]) is file.find("") is file.find("nj_") is None
    assert key.scopes == SCOPES


def test_tokens_are_long_and_never_alike(file):
    tokens = {file.create(f"n{n}")[1] for n in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 46  # 256 bits


def test_a_running_service_sees_what_changes(file):
    service = KeyFile(file.path)
    assert service.find("nj_x") is None
    key, token = file.create("late")
    assert service.find(token) == key
    file.revoke(key.id)
    assert service.find(token) is None
    assert file.keys()[0].revoked_at
    again = file.create("again")[1]
    assert service.find(again)
    file.path.unlink()
    assert service.find(again) is None


def test_a_file_that_is_torn_lets_in_whom_it_let_in_before(file):
    _, token = file.create("here")
    service = KeyFile(file.path)
    assert service.find(token)
    file.path.write_text("{")
    assert service.find(token)
    assert service.find("nj_other") is None
    with pytest.raises(UsageError, match=r"keys\.json cannot be read as a file of keys"):
        file.keys()
    with pytest.raises(UsageError):
        file.create("more")
    assert file.path.read_text() == "{"


def test_two_writers_lose_nothing(file):
    def write(n: int) -> None:
        for k in range(10):
            KeyFile(file.path).create(f"{n}-{k}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in KeyFile.keys(file)} == {f"{n}-{k}" for n in range(4) for k in range(10)}
    assert [path.name for path in file.path.parent.iterdir() if ".part" in path.name] == []


def test_what_is_no_key_is_refused(file):
    for scopes in (["checks"], []):
        with pytest.raises(UsageError, match="allowed: check, moderations, videos, models, metrics"):
            file.create("x", scopes)
    with pytest.raises(UsageError, match="must be 0 or more"):
        file.create("x", rate=-1.0)
    with pytest.raises(UsageError, match="has no key 'nobody'; found: none"):
        file.revoke("nobody")
    assert not file.path.exists() or json.loads(file.path.read_text())["keys"] == []


def test_a_bucket_fills_at_its_rate():
    buckets, key = Buckets(), Key("a", "a", "", rate=2.0)
    assert [buckets.wait_s(key, 0.0) for _ in range(2)] == [0.0, 0.0]
    assert buckets.wait_s(key, 0.0) == pytest.approx(0.5)
    assert buckets.wait_s(key, 0.25) == pytest.approx(0.25)
    assert buckets.wait_s(key, 0.5) == 0.0
    assert [buckets.wait_s(key, 100.0) for _ in range(3)][:2] == [0.0, 0.0]
    assert buckets.wait_s(key, 100.0) > 0
    slow = Key("b", "b", "", rate=0.1)
    assert buckets.wait_s(slow, 0.0) == 0.0
    assert buckets.wait_s(slow, 0.0) == pytest.approx(10.0)
    assert buckets.wait_s(Key("c", "c", ""), 0.0) == 0.0


def test_who_shares_a_folder_draws_from_the_same_buckets(tmp_path):
    key, other = Key("../a", "a", "", rate=50.0), Key("b", "b", "", rate=1.0)
    sharing = [Buckets(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(len(sharing)) as pool:
        waits = pool.map(lambda buckets: [buckets.wait_s(key, 0.0) for _ in range(100)], sharing)
    assert sum(wait_s == 0.0 for each in waits for wait_s in each) == 50
    assert [buckets.wait_s(other, 0.0) for buckets in sharing] == [0.0, 1.0, 1.0, 1.0]
    assert Buckets(tmp_path).wait_s(other, 0.5) == pytest.approx(0.5)
    assert {path.parent for path in tmp_path.parent.rglob("*.bucket")} == {tmp_path}
    assert Buckets().wait_s(other, 0.5) == 0.0


def test_a_bucket_that_cannot_be_shared_is_a_process_s_own(tmp_path):
    buckets, key = Buckets(tmp_path / "gone"), Key("a", "a", "", rate=1.0)
    assert [buckets.wait_s(key, 0.0) for _ in range(2)] == [0.0, 1.0]
