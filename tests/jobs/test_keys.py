"""`nightjar keys`: a token is told once and opens the door; a list never holds one; what is no key is a sentence."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from jobs import cli
from pipelines.serving.api import keys as module
from pipelines.serving.api.door import build
from pipelines.serving.api.settings import Settings
from tests.serving_fakes import FakeChecker


@pytest.fixture
def nightjar(tmp_path, capsys):
    """Run `nightjar keys ...` on one file; return status, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["keys", *words, "--keys", str(tmp_path / "private" / "keys.json")])
        shown = capsys.readouterr()
        return int(end.value.code or 0), shown.out, shown.err

    return run


def listed(nightjar) -> list[dict]:
    return [json.loads(line) for line in nightjar("list", "--json")[1].splitlines()]


def test_a_key_opens_what_its_scopes_say_until_it_is_revoked(nightjar, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    status, out, _ = nightjar("create", "comments", "--scope", "check", "--scope", "models", "--rate", "50")
    token = out.strip()
    assert status == 0
    door = TestClient(build(FakeChecker, Settings(keys=tmp_path / "private" / "keys.json")))
    headers = {"authorization": f"Bearer {token}"}
    assert door.post("/v1/check", json={"text": "a"}, headers=headers).status_code == 200
    assert door.get("/v1/models", headers=headers).status_code == 200
    assert door.post("/v1/moderations", json={"input": "a"}, headers=headers).status_code == 403
    (key,) = listed(nightjar)
    assert (key["name"], key["scopes"], key["rate"], key["revoked_at"]) == ("comments", ["check", "models"], 50.0, None)
    assert nightjar("revoke", key["id"])[0] == 0
    assert door.post("/v1/check", json={"text": "a"}, headers=headers).status_code == 401
    assert listed(nightjar)[0]["revoked_at"]


def test_the_token_is_shown_once_alone_and_to_its_owner_only(nightjar, tmp_path):
    _, out, err = nightjar("create", "uploads")
    token = out.strip()
    assert out == f"{token}\n"
    assert token not in err
    for shown in (nightjar("list")[1], nightjar("list", "--json")[1]):
        assert "uploads" in shown
        assert token.removeprefix("nj_")[:12] not in shown
        assert "sha256" not in shown
    for path in (tmp_path / "private").iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert token not in path.read_text()


def test_a_name_is_shown_as_it_is(nightjar):
    for name in ("[/x]", "[red]night", "部门"):
        nightjar("create", name)
    shown = nightjar("list")[1]
    assert all(name in shown for name in ("[/x]", "[red]night", "部门"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["create", "x", "--scope", "all"], "invalid choice: 'all'"),
        (["create", "x", "--rate", "nan"], "'nan' is no rate, allowed are 0 (no limit) and more"),
        (["create", "x", "--rate", "-1"], "'-1' is no rate"),
        (["create", "x", "--rate", "often"], "'often' is no rate"),
        (["create", "a\nb"], "is no name, allowed are printable characters"),
        (["create", " "], "' ' is no name"),
        (["revoke", "nobody"], "has no key 'nobody'; found: none"),
        (["list"], "there is no file of keys at"),
    ],
)
def test_what_cannot_be_is_one_sentence(nightjar, words, complaint):
    status, out, err = nightjar(*words)
    assert (status, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_file_that_holds_no_keys_is_left_as_it_is(nightjar, tmp_path):
    path = tmp_path / "private" / "keys.json"
    path.parent.mkdir()
    path.write_text('{"keys": [{"name": "half"}]}')
    for words in (["create", "x"], ["revoke", "x"], ["list"]):
        status, out, err = nightjar(*words)
        assert (status, out) == (2, "")
        assert "cannot be read as a file of keys" in err
    assert path.read_text() == '{"keys": [{"name": "half"}]}'
