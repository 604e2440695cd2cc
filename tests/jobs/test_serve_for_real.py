"""The command as users run it, with the models of `lite`: keys, texts, bombs, a video for later, and a clean end."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from benchmarks.ports import free_port
from jobs.cli import parse
from jobs.keys import run as keys_run
from tests.footage import Tone, write_film

pytestmark = pytest.mark.usefixtures("lite")
STRANGERS = {
    "100,000 x 100,000 pixels": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\1\x86\xa0" * 2 + b"\x08\2\0\0\0" + bytes(4),
    "an archive": b"PK\3\4" + bytes(100),
    "a playlist": b"#EXTM3U\n/etc/passwd\n",
    "a program": b"MZ" + bytes(50),
    "a picture cut off": b"GIF89a",
}  # fmt: skip
LURE = "add me on WeChat, guaranteed profit"


@pytest.fixture(scope="module")
def service(tmp_path_factory, lite) -> Iterator[tuple[str, str]]:
    """Its address, and a token."""
    folder = tmp_path_factory.mktemp("service")
    command = [sys.executable, "-m", "jobs.cli"]
    made = [*command, "keys", "create", "tests", "--keys", str(folder / "keys.json")]
    token = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
    port = free_port()
    options = ["--port", str(port), "--keys", str(folder / "keys.json"), "--videos", str(folder / "videos")]
    with (folder / "stderr").open("wb") as said:
        process = subprocess.Popen([*command, "serve", *options], stdout=said, stderr=said)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + 180
    try:
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"{url}/readyz", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        yield url, token
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0, (folder / "stderr").read_text()[-2000:]
        assert "stopping" in (folder / "stderr").read_text()
    finally:
        if process.poll() is None:
            process.kill()


def ask(service: tuple[str, str], path: str, body: dict | None = None, key: str | None = None) -> tuple[int, dict]:
    url, token = service
    headers = {"authorization": f"Bearer {token if key is None else key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_text_is_judged_by_the_shipped_policy(service):
    status, found = ask(service, "/v1/check", {"text": LURE, "looks": "text"})
    assert status == 200
    assert found["suggestion"] != "pass"
    assert {label["form"] for label in found["labels"]} == {"Text"}
    assert found["policy"].startswith("default@")
    assert found["bundle"].startswith("lite@")
    assert ask(service, "/v1/check", {"text": "an ordinary day"})[1]["suggestion"] == "pass"


def test_openais_client_gets_the_same(service):
    url, token = service
    found = openai.OpenAI(base_url=f"{url}/v1", api_key=token).moderations.create(input=[LURE, "an ordinary day"])
    assert [one.flagged for one in found.results] == [True, False]
    assert found.results[0].categories.illicit


def test_a_wrong_key_gets_nothing(service):
    assert ask(service, "/v1/check", {"text": "a"}, key="nj_wrong")[1]["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("content", STRANGERS.values(), ids=STRANGERS)
def test_bombs_and_strangers_are_refused_and_the_next_is_answered(service, content):
    status, found = ask(service, "/v1/check", {"image": base64.b64encode(content).decode()})
    assert 400 <= status < 500, found
    assert found["error"]["message"]
    assert ask(service, "/v1/check", {"text": "an ordinary day", "looks": "text"})[0] == 200


def test_a_video_for_later_has_the_verdict_of_a_scan(service, tmp_path):
    film = write_film(tmp_path / "film.mp4", seconds=2.0, fps=5, size=(320, 180), tone=Tone(1.0))
    encoded = base64.b64encode(film.read_bytes()).decode()
    status, taken = ask(service, "/v1/videos", {"video": encoded, "id": film.name, "title": LURE})
    assert (status, taken["status"]) == (202, "queued")
    until = time.monotonic() + 60
    while (found := ask(service, f"/v1/videos/{taken['id']}")[1])["status"] != "done" and time.monotonic() < until:
        time.sleep(0.2)
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"video_id": film.name, "uri": str(film), "title": LURE}))
    command = [sys.executable, "-m", "jobs.cli", "recall", "--date", "2026-01-01", "--input", str(manifest), "--json"]
    done = subprocess.run([*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, check=True)
    night = json.loads(done.stdout)
    kept = ("suggestion", "complete", "error_code", "content_sha256", "duration_ms", "bundle", "policy")
    assert {name: found["verdict"][name] for name in kept} == {name: night[name] for name in kept}
    assert [label["label"] for label in found["verdict"]["labels"]] == [label["label"] for label in night["labels"]]


def test_keys_are_listed_without_their_secrets(tmp_path, capsys):
    file = str(tmp_path / "keys.json")
    assert keys_run(parse(["keys", "create", "a", "--keys", file, "--scope", "check", "--rate", "5"])) == 0
    token = capsys.readouterr().out.strip()
    assert keys_run(parse(["keys", "list", "--keys", file, "--json"])) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["name"], row["scopes"], row["rate"], row["revoked_at"]) == ("a", ["check"], 5.0, None)
    assert keys_run(parse(["keys", "revoke", row["id"], "--keys", file])) == 0
    assert keys_run(parse(["keys", "list", "--keys", file])) == 0
    said = capsys.readouterr()
    assert row["id"] in said.out
    assert token not in said.out + said.err + Path(file).read_text()
    assert os.stat(file).st_mode & 0o077 == 0
