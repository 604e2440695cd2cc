"""The command: what it refuses, the config file it writes, and that it stops without dropping what runs."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml

from benchmarks.ports import free_port
from jobs import serve
from jobs.cli import parse
from jobs.serve import is_loopback, run, service_of
from model_registry.errors import UsageError
from pipelines.serving.service import Service
from tests.serving_parts import DAWDLES, SIDE

QUICK = bytes([1]) * (SIDE * SIDE * 3)
SLOW = bytes([DAWDLES]) + QUICK[1:]


def call(*options: str) -> int:
    return run(parse(["serve", *options]))


@pytest.fixture
def bare(monkeypatch):
    """No models and no Ray."""
    monkeypatch.setattr(serve, "plan", lambda service: SimpleNamespace(bank=None))
    monkeypatch.setattr(serve.os, "environ", os.environ.copy())


class TestRefusing:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_strangers_without_keys(self, host):
        with pytest.raises(UsageError, match=f"--host {host} can be reached from outside and there are no keys"):
            call("--host", host)

    def test_a_config_file_for_strangers_without_keys(self, tmp_path):
        with pytest.raises(UsageError, match="no keys"):
            call("--host", "0.0.0.0", "--config", str(tmp_path / "serve.yaml"))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("host", "here"), [("127.0.0.2", True), ("::1", True), ("localhost", True), ("", False)])
    def test_what_counts_as_this_machine(self, host, here):
        assert is_loopback(host) is here

    def test_a_file_of_keys_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match="there is no file of keys at"):
            call("--host", "0.0.0.0", "--keys", str(tmp_path / "keys.json"))

    @pytest.mark.parametrize("port", ["0", "65536", "http"])
    def test_what_is_no_port(self, port, capsys):
        with pytest.raises(SystemExit):
            call("--port", port)
        assert f"'{port}' is no port, allowed are 1 to 65535" in capsys.readouterr().err

    @pytest.mark.parametrize("share", ["0", "-0.1", "1.1", "nan"])
    def test_what_is_no_share(self, share, capsys):
        with pytest.raises(SystemExit):
            call("--challenger", "challenger", "--shadow", share)
        assert f"{share} is no share, allowed are more than 0 and at most 1" in capsys.readouterr().err

    def test_a_share_for_nobody(self):
        with pytest.raises(
            UsageError, match=r"--shadow 0\.1 has nobody to try; give --challenger or --challenger-policy"
        ):
            call("--shadow", "0.1")

    @pytest.mark.parametrize("options", [["--challenger", "champion"], ["--challenger-policy", "default"]])
    def test_a_challenger_that_answers_already(self, options):
        with pytest.raises(UsageError, match="has alias champion and policy default: that is what answers"):
            call(*options)

    def test_a_challenger_s_policy_that_is_none(self, monkeypatch):
        monkeypatch.setattr(serve, "plan", lambda service: SimpleNamespace(bank=None))
        with pytest.raises(UsageError, match=r"missing\.toml"):
            call("--challenger-policy", "missing.toml")

    def test_a_port_that_is_taken(self, tmp_path):
        versions = tmp_path / "versions"
        versions.write_text("1")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            command = [sys.executable, "-m", "tests.serving_parts", "--policy", str(versions), "--port", str(port)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        expected = f"nightjar serve: nothing can listen on 127.0.0.1 port {port}: address already in use\n"
        assert done.stderr == expected

    def test_a_host_that_is_none(self, tmp_path, bare, monkeypatch):
        monkeypatch.setattr(serve.session, "ray_up", lambda: pytest.fail("Ray was started"))
        keys = tmp_path / "keys.json"
        keys.write_text("{}")
        with pytest.raises(UsageError, match=r"nothing can listen on nowhere\.invalid port 8000: \w"):
            call("--host", "nowhere.invalid", "--keys", str(keys))

    def test_the_port_is_held_before_ray_starts(self, bare, monkeypatch):
        """Ray's processes take ports as they come."""
        port = free_port()

        @contextmanager
        def ray_up():
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))
            raise UsageError("it was held")
            yield

        monkeypatch.setattr(serve.session, "ray_up", ray_up)
        with pytest.raises(UsageError, match="it was held"):
            call("--port", str(port))
        socket.create_server(("127.0.0.1", port)).close()


class TestConfig:
    def test_the_file_is_one_that_ray_serve_takes_and_names_the_same_service(self, tmp_path, monkeypatch, capsys):
        from ray.serve.schema import ServeDeploySchema

        monkeypatch.chdir(tmp_path)
        Path("strict.toml").touch()
        options = ["--policy", "strict.toml", "--bank", "references", "--placement", "apart", "--keys", "keys.json"]
        options += ["--skip", "speech", "ocr", "--most-replicas", "3", "--host", "0.0.0.0", "--port", "80"]
        assert call(*options, "--config", "serve.yaml") == 0

        assert capsys.readouterr().out == "serve.yaml\n"
        written = yaml.safe_load(Path("serve.yaml").read_text())
        schema = ServeDeploySchema.model_validate(written)
        assert (schema.http_options.host, schema.http_options.port) == ("0.0.0.0", 80)
        (app,) = schema.applications
        assert Service.of(app.args) == service_of(parse(["serve", *options]))
        assert Service.of(app.args).bank == str(tmp_path / "references")
        assert Service.of(app.args).policy == str(tmp_path / "strict.toml")

    def test_a_challenger_is_the_same_service_under_another_alias_and_policy(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("strict.toml").touch()
        options = ["--policy", "default", "--challenger", "challenger", "--challenger-policy", "strict.toml"]
        service = service_of(parse(["serve", *options, "--shadow", "0.2", "--skip", "ocr"]))
        assert Service.of(service.args) == service
        assert service.shadow == 0.2
        assert service_of(parse(["serve", *options])).shadow == 0.05
        assert service.tried == replace(
            service, alias="challenger", policy=str(tmp_path / "strict.toml"), challenger=None, challenger_policy=None
        )
        assert service.tried.tried is None

    def test_a_file_with_what_is_no_challenger(self):
        with pytest.raises(UsageError, match="alias 'best' is not known; allowed: champion, challenger"):
            Service.of({"challenger": "best"})
        with pytest.raises(UsageError, match=r"shadow is 1\.5, must be more than 0 and at most 1"):
            Service.of({"challenger": "challenger", "shadow": 1.5})

    def test_the_import_path_names_a_builder(self):
        from importlib import import_module

        from pipelines.serving.application import IMPORT_PATH

        module, _, name = IMPORT_PATH.partition(":")
        assert callable(getattr(import_module(module), name))

    def test_an_argument_that_is_not_known_is_named(self):
        with pytest.raises(UsageError, match="a service has no bundel; allowed: alias, bank, bundle"):
            Service.of({"bundel": "lite"})
        with pytest.raises(UsageError, match="placement 'near' is not known; allowed: apart, together, auto"):
            Service.of({"placement": "near"})


class Server:
    """`nightjar serve` in a process group of its own, as a terminal would start it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        versions = folder / "versions"
        versions.write_text("1")
        command = [sys.executable, "-m", "tests.serving_parts", "--policy", str(versions), "--port", str(self.port)]
        environment = {**os.environ, "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            [*command, *options], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.said: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        self.said += iter(self.process.stderr.readline, "")

    def wait_for(self, words: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not any(words in line for line in self.said):
            assert time.monotonic() < end, "".join(self.said[-20:])
            assert self.process.poll() is None, "".join(self.said[-20:])
            time.sleep(0.05)

    def post(self, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/check", body)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the command keeps what is temporary; Ray's sockets lie there, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="nj-") as name:
        yield Path(name)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    server = Server(folder, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(30)


class TestStopping:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
    def test_what_runs_is_answered_and_nothing_is_left(self, folder, how):
        with serving(folder) as server, ThreadPoolExecutor(3) as pool:
            server.wait_for("ready after")
            assert server.post(QUICK) == 200
            children = psutil.Process(server.process.pid).children(recursive=True)
            slow = [pool.submit(server.post, SLOW) for _ in range(3)]
            time.sleep(0.8)
            if how == signal.SIGINT:
                os.killpg(server.process.pid, how)  # a terminal tells everybody
            else:
                server.process.send_signal(how)
            assert [future.result() for future in slow] == [200] * 3
            assert server.process.wait(60) == 0
            server.reader.join(10)
        gone, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
        assert len(gone) > 3
        assert not list(folder.glob("nightjar-*"))
        assert [line.split(" ")[0] for line in server.said] == ["loading", "ready", "stopping:"]

    def test_a_stop_while_it_starts_leaves_nothing(self, folder):
        with serving(folder) as server:
            server.wait_for("loading")
            children = psutil.Process(server.process.pid).children(recursive=True)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(60) == 0
        assert not psutil.wait_procs(children, timeout=10)[1]
        assert not list(folder.glob("nightjar-*"))
