"""Posting to a stranger's address: what is refused, what is connected to, and how long anybody may hold us."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.serving.contract import Refused
from pipelines.serving.courier import Posted, PostError
from pipelines.serving.posting import SafePoster
from tests.local_post import HookReceiver, receiving


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with receiving() as server:
        yield server


def poster(receiver: HookReceiver, **options) -> SafePoster:
    return SafePoster([f"http://127.0.0.1:{receiver.server_address[1]}"], **{"timeout_s": 5.0, **options})


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example/x",
            "ftp://hooks.example/x",
            "file:///etc/passwd",
            "//hooks.example/x",
            "hooks.example",
            "",
            "https://",
            "https:///x",
            "https://hooks.example:0/",
            "https://hooks.example:99999/",
            "https://user@hooks.example/",
            "https://user:word@hooks.example/",
            "https://hooks.example\\@10.0.0.1/",
            "https://hooks.example/\r\nhost: 10.0.0.1",
            "https://hooks.example/ x",
            "https://hooks.exämple/",
            "https://[fe80::1%25eth0]/",
            "https://hooks.example/" + "x" * 3000,
            "https://localhost/",
            "https://a.localhost:8443/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
        ],
    )
    def test_one_that_will_never_do(self, url):
        with pytest.raises(Refused, match="the webhook's address") as refused:
            SafePoster().check(url)

        assert refused.value.status == 400
        assert "passwd" not in str(refused.value)

    @pytest.mark.parametrize(
        "url",
        ["https://hooks.example/a?b=c", "https://hooks.example:8443", "https://1.1.1.1/", "https://[2606:4700::1]/x"],
    )
    def test_one_that_will_do(self, url):
        SafePoster().check(url)

    def test_an_allowed_origin_may_be_private_and_its_neighbours_may_not(self):
        found = SafePoster(["http://10.0.0.1:8080"])
        found.check("http://10.0.0.1:8080/any")

        for url in ("http://10.0.0.1/any", "https://10.0.0.1:8080/any", "http://10.0.0.2:8080/any"):
            with pytest.raises(Refused):
                found.check(url)


class TestName:
    @pytest.mark.parametrize("addresses", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:169.254.169.254"], []])
    def test_one_that_leads_to_a_private_address_is_not_connected_to(self, addresses, monkeypatch):
        monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("connected"))

        with pytest.raises(PostError, match="address"):
            SafePoster(resolve=lambda *_: addresses).post("https://hooks.example/", {}, b"")

    def test_it_is_asked_for_once_and_the_checked_address_is_called(self, monkeypatch):
        asked: list[str] = []
        called: list[tuple[str, int]] = []

        def changing(host: str, _: int) -> list[str]:
            asked.append(host)
            return ["1.1.1.1"] if len(asked) == 1 else ["127.0.0.1"]

        def call(address: tuple[str, int], _: float) -> socket.socket:
            called.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", call)
        with pytest.raises(PostError, match="ConnectionRefusedError"):
            SafePoster(resolve=changing).post("https://hooks.example:8443/", {}, b"")

        assert (asked, called) == (["hooks.example"], [("1.1.1.1", 8443)])

    def test_of_several_addresses_the_next_is_called_when_one_is_dead(self, receiver):
        port = receiver.server_address[1]
        found = SafePoster(
            [f"http://hooks.example:{port}"], timeout_s=5, resolve=lambda *_: ["127.255.255.1", "127.0.0.1"]
        )

        assert found.post(f"http://hooks.example:{port}/hook", {}, b"x").status == 204

    def test_one_that_is_not_found_is_a_failed_attempt(self):
        with pytest.raises(PostError, match="gaierror"):
            SafePoster().post("https://hooks.invalid/", {}, b"")


class TestPost:
    def test_it_arrives(self, receiver):
        said = poster(receiver).post(receiver.url + "?key=k", {"x-a": "b"}, b"{}")
        ((path, headers, body),) = receiver.requests

        assert said == Posted(204)
        assert (path, headers["x-a"], headers["host"], body) == ("/hook?key=k", "b", receiver.url.split("/")[2], b"{}")

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_an_answer(self, receiver, status):
        receiver.statuses = [status]

        assert poster(receiver).post(receiver.url, {}, b"{}").status == status
        assert len(receiver.requests) == 1

    @pytest.mark.parametrize(("said", "seconds"), [("12", 12.0), ("soon", None), ("nan", None), ("-1", None)])
    def test_what_it_asks_for_is_heard_if_it_is_a_number(self, receiver, said, seconds):
        receiver.statuses, receiver.headers = [503], {"Retry-After": said}

        assert poster(receiver).post(receiver.url, {}, b"{}") == Posted(503, seconds)

    def test_no_proxy_of_the_environment_hears_of_it(self, receiver, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

        assert poster(receiver).post(receiver.url, {}, b"{}").status == 204


class Held:
    """A listener that does to whoever calls what it was told, as long as it is called."""

    def __init__(self, answer: bytes, pause_s: float) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.answer, self.pause_s, self.over = answer, pause_s, threading.Event()
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Held:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.listener.close()

    def _serve(self) -> None:
        wire, _ = self.listener.accept()
        with wire:
            try:
                for byte in self.answer:
                    if self.over.wait(self.pause_s):
                        return
                    wire.sendall(bytes([byte]))
                self.over.wait(10)
            except OSError:
                return


class TestTime:
    @pytest.mark.parametrize(
        ("scheme", "answer"),
        [
            ("http", b""),
            ("http", b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 200),
            ("http", b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
            ("https", b""),
            ("https", b"\x16\x03\x03\x40\x00" + b"x" * 200),
        ],
        ids=["silent", "drip", "endless 100", "silent TLS", "drip in TLS"],
    )
    def test_nobody_holds_us_longer_than_we_like(self, scheme, answer):
        with Held(answer, 0.005) as held:
            found = SafePoster([f"{scheme}://{held.origin}"], timeout_s=0.4)
            began = time.monotonic()
            with pytest.raises(PostError, match=r"no answer in time|TimeoutError"):
                found.post(f"{scheme}://{held.origin}/", {}, b"{}")

            assert time.monotonic() - began < 2

    @pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 100_000])
    def test_what_is_no_http_is_a_failed_attempt(self, answer):
        with Held(answer[:1], 0) as held:
            held.answer = answer
            with pytest.raises(PostError):
                SafePoster([f"http://{held.origin}"], timeout_s=1.0).post(f"http://{held.origin}/", {}, b"{}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Of hooks.example, signed by itself."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl here that makes a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    name = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path, "-days", "2"]
    made = subprocess.run([openssl, "req", "-x509", *key, *name], check=True, capture_output=True)
    with path.open("ab") as out:
        out.write(made.stdout)
    return path


class TestTLS:
    def post(self, receiver: HookReceiver, certificate: Path, host: str, trusted: bool = True) -> Posted:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate)
        receiver.socket = server.wrap_socket(receiver.socket, server_side=True)
        context = ssl.create_default_context(cafile=certificate) if trusted else None
        address = f"https://{host}:{receiver.server_address[1]}"
        found = SafePoster([address], resolve=lambda *_: ["127.0.0.1"], timeout_s=5.0, context=context)
        return found.post(f"{address}/hook", {}, b"{}")

    def test_the_certificate_must_be_of_the_name(self, receiver, certificate):
        assert self.post(receiver, certificate, "hooks.example").status == 204

    def test_one_of_another_name_is_not_talked_to(self, receiver, certificate):
        with pytest.raises(PostError, match="SSLCertVerificationError"):
            self.post(receiver, certificate, "other.example")

        assert receiver.requests == []

    def test_nor_one_that_nobody_vouches_for(self, receiver, certificate):
        with pytest.raises(PostError, match="SSLCertVerificationError"):
            self.post(receiver, certificate, "hooks.example", trusted=False)

        assert receiver.requests == []
