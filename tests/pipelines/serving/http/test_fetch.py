"""Fetching what a stranger names: from where, to where it leads, how much, how long, and what is told of failures."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from pipelines.serving.contract import Refused
from pipelines.serving.http.exchange import FetchLimits
from pipelines.serving.http.fetch import Fetcher

NAME = "media.example"
FILE = bytes(range(256)) * 1000
CLOSE = b"connection: close\r\n"


def ok(body: bytes, *headers: str) -> bytes:
    said = "".join(f"{header}\r\n" for header in headers or (f"content-length: {len(body)}",))
    return f"HTTP/1.1 200 OK\r\n{said}\r\n".encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 3\r\n\r\nxyz".encode()


class Site:
    """Answers a path with the very bytes it was told, all at once or one by one, and remembers what was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answers: dict[str, bytes] = {}
        self.pause_s, self.endless, self.context = 0.0, b"", context
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.calls, self.gone, self.over = 0, threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Site:
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in list(self.threads):
            thread.join()

    def uri(self, path: str = "/file", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            self.threads.append(threading.Thread(target=self._serve, args=(wire,)))
            self.threads[-1].start()

    def _serve(self, wire: socket.socket) -> None:
        try:
            with self.context.wrap_socket(wire, server_side=True) if self.context else wire as line:
                self._answer(line)
        except OSError:
            self.gone.set()

    def _answer(self, line: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := line.recv(4096)):
                return
            head += piece
        first, *rest = head.decode().strip().split("\r\n")
        self.asked.append((first, dict(header.split(": ", 1) for header in rest)))
        answer = self.answers.get(first.split(" ")[1], b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        for piece in [bytes([byte]) for byte in answer] if self.pause_s else [answer]:
            line.sendall(piece)
            if self.over.wait(self.pause_s):
                return
        while self.endless and not self.over.is_set():
            line.sendall(self.endless)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as started:
        started.answers["/file"] = ok(FILE)
        yield started


@pytest.fixture
def path(tmp_path) -> Path:
    found = tmp_path / "private"
    found.write_bytes(b"old")
    found.chmod(0o644)
    return found


def fetcher(*allowed: str, leads: str = "127.0.0.1", context: ssl.SSLContext | None = None, **limits) -> Fetcher:
    spent = FetchLimits(**{"max_bytes": 1 << 20, "connect_s": 2.0, "read_s": 2.0, "total_s": 4.0, **limits})
    return Fetcher(allowed, spent, lambda *_: leads.split(), context)


def refused(fetcher: Fetcher, uri: str, path: Path) -> Refused:
    """What the caller is told; nothing is kept, and neither the place nor its address is in it."""
    with pytest.raises(Refused) as said:
        fetcher.fetch(uri, path)
    assert path.read_bytes() == b""
    assert not any(word in str(said.value) for word in ("127.0.0.1", "10.0.0", "169.254", NAME, "secret", "Errno"))
    return said.value


class Dialled:
    """Stands for the network: remembers who is called, and leads every call to one port of this machine."""

    def __init__(self, monkeypatch, port: int | None = None) -> None:
        self.called: list[tuple[str, int]] = []
        self.real, self.port = socket.create_connection, port
        monkeypatch.setattr(socket, "create_connection", self)

    def __call__(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.called.append(address)
        if self.port is None:
            raise ConnectionRefusedError
        return self.real(("127.0.0.1", self.port), timeout)


class TestFile:
    def test_it_is_written_and_only_this_user_may_read_it(self, site, path):
        size = fetcher(site.uri("")).fetch(site.uri(), path)

        assert (size, path.read_bytes()) == (len(FILE), FILE)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_what_is_asked(self, site, path):
        site.answers["/file?a=%2F&b"] = ok(b"x")
        fetcher(f"private+{site.uri('', NAME)}").fetch(site.uri("/file?a=%2F&b#part", NAME), path)
        ((first, headers),) = site.asked

        assert first == "GET /file?a=%2F&b HTTP/1.1"
        assert headers == {
            "host": f"{NAME}:{site.port}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
            "user-agent": "nightjar",
        }

    @pytest.mark.parametrize(
        "answer",
        [
            ok(FILE, "transfer-encoding: chunked").replace(FILE, b"3e800;x=y\r\n" + FILE + b"\r\n0\r\nx: y\r\n\r\n"),
            ok(FILE, "connection: close"),
            b"HTTP/1.1 100 Continue\r\n\r\n" + ok(FILE),
        ],
        ids=["chunked", "until closed", "after 100"],
    )
    def test_however_it_is_sent(self, site, path, answer):
        site.answers["/file"] = answer

        assert fetcher(site.uri("")).fetch(site.uri(), path) == len(FILE)
        assert path.read_bytes() == FILE

    def test_a_file_that_its_owner_has_removed_does_not_come_back(self, site, path):
        path.unlink()
        with pytest.raises(FileNotFoundError):
            fetcher(site.uri("")).fetch(site.uri(), path)

        assert not path.exists()

    def test_a_link_is_not_followed(self, site, path, tmp_path):
        (tmp_path / "link").symlink_to(path)
        with pytest.raises(OSError, match="symbolic links"):
            fetcher(site.uri("")).fetch(site.uri(), tmp_path / "link")

        assert path.read_bytes() == b"old"

    def test_no_proxy_of_the_environment_hears_of_it(self, site, path, monkeypatch):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")

        assert fetcher(site.uri("")).fetch(site.uri(), path) == len(FILE)


class TestList:
    def test_with_an_empty_one_nothing_is_fetched(self, path):
        with pytest.raises(Refused, match="not in a place") as said:
            fetcher().fetch("https://media.example/x", path)

        assert (said.value.status, said.value.code) == (403, "uri_not_allowed")
        assert path.read_bytes() == b"old"

    @pytest.mark.parametrize(
        "uri",
        ["https://media.example:22/", "http://media.example/", "https://other.example/", "https://169.254.169.254/"],
    )
    def test_what_is_not_on_it_is_neither_looked_up_nor_called(self, path, uri, monkeypatch):
        dialled, asked = Dialled(monkeypatch), []
        found = Fetcher(["https://media.example"], resolve=lambda *name: asked.append(name) or ["1.1.1.1"])
        with pytest.raises(Refused) as said:
            found.fetch(uri, path)

        assert (said.value.status, asked, dialled.called) == (403, [], [])

    @pytest.mark.parametrize(
        "uri", ["file:///etc/passwd", "https://user:secret@media.example/", "https://2130706433/", "https://0x7f.1/"]
    )
    def test_what_is_no_address_is_told_so(self, uri, path):
        with pytest.raises(Refused) as said:
            fetcher("https://media.example").check(uri)

        assert (said.value.status, said.value.code) == (400, "uri_invalid")
        assert not any(word in str(said.value) for word in ("secret", "passwd"))

    def test_what_will_do_is_checked_without_the_network(self, monkeypatch):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))

        Fetcher(["https://media.example/videos"]).check("https://media.example/videos/a.mp4")


class TestName:
    @pytest.mark.parametrize(
        "leads",
        [
            "",
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "1.1.1.1 10.0.0.1",
            "2130706433",
            "not-an-address",
        ],
    )
    def test_one_that_leads_inside_is_not_called_and_told_as_one_that_is_unknown(self, path, leads, monkeypatch):
        dialled = Dialled(monkeypatch)
        said = refused(fetcher(f"https://{NAME}", leads=leads), f"https://{NAME}/secret", path)

        assert (said.status, said.code, dialled.called) == (422, "uri_failed", [])
        assert str(said) == "the uri has a host without an address that this service may connect to"

    def test_one_that_is_not_found(self, path):
        found = Fetcher(["https://media.invalid"])

        assert "without an address" in str(refused(found, "https://media.invalid/x", path))

    def test_one_that_is_ours_leads_inside_and_still_not_to_metadata(self, site, path, monkeypatch):
        entry = f"private+{site.uri('', NAME)}"
        assert fetcher(entry).fetch(site.uri("/file", NAME), path) == len(FILE)

        dialled = Dialled(monkeypatch)
        refused(fetcher(entry, leads="169.254.169.254"), site.uri("/file", NAME), path)
        assert dialled.called == []

    def test_it_is_looked_up_once_and_the_checked_address_is_called(self, site, path, monkeypatch):
        dialled, asked = Dialled(monkeypatch, site.port), []

        def changing(host: str, port: int) -> list[str]:
            asked.append((host, port))
            return ["1.1.1.1"] if len(asked) == 1 else ["127.0.0.1"]

        system, names = socket.getaddrinfo, []
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: names.append(host) or system(host, *rest))
        Fetcher([f"http://{NAME}"], resolve=changing).fetch(f"http://{NAME}/file", path)

        assert (asked, dialled.called, names) == ([(NAME, 80)], [("1.1.1.1", 80)], ["127.0.0.1"])
        assert path.read_bytes() == FILE

    def test_of_several_addresses_the_next_is_called_when_one_is_dead(self, site, path):
        found = fetcher(f"private+{site.uri('', NAME)}", leads="127.255.255.1 127.0.0.1")

        assert found.fetch(site.uri("/file", NAME), path) == len(FILE)

    def test_a_resolver_that_does_not_answer_is_not_waited_for(self, path):
        over = threading.Event()
        found = Fetcher([f"https://{NAME}"], FetchLimits(connect_s=0.1), lambda *_: over.wait(5) and [])
        began = time.monotonic()
        try:
            assert "without an address" in str(refused(found, f"https://{NAME}/", path))
        finally:
            over.set()

        assert time.monotonic() - began < 2


class TestRedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("location", ["/file", "file", "//{host}/file", "http://{host}/file#part"])
    def test_it_is_followed_within_the_list(self, site, path, status, location):
        site.answers["/a"] = redirect(location.format(host=f"127.0.0.1:{site.port}"), status)

        assert fetcher(site.uri("")).fetch(site.uri("/a"), path) == len(FILE)
        assert [first.split()[1] for first, _ in site.asked] == ["/a", "/file"]

    @pytest.mark.parametrize(
        ("location", "said"),
        [
            ("http://127.0.0.2/secret", "may not fetch from"),
            ("http://169.254.169.254/secret", "may not fetch from"),
            ("//other.example/secret", "may not fetch from"),
            ("/elsewhere/secret", "may not fetch from"),
            ("/a/../secret", "may not fetch from"),
            ("/a/%2e%2e/secret", "may not fetch from"),
            ("http://2130706433/secret", "no http address"),
            ("http://user:secret@127.0.0.1/", "no http address"),
            ("http://[::1/secret", "no http address"),
            ("http://mediä.example/", "no http address"),
            ("file:///etc/secret", "no http address"),
            ("data:text/plain,secret", "no http address"),
            ("gopher://127.0.0.1/secret", "no http address"),
        ],
    )
    def test_it_is_held_to_the_same_rules(self, site, path, location, said):
        site.answers["/a/b"] = redirect(location)
        found = refused(fetcher(site.uri("/a")), site.uri("/a/b"), path)

        assert said in str(found)
        assert (found.status, site.calls) == (422, 1)

    def test_a_listed_name_that_leads_inside_is_not_called_by_way_of_one_that_does_not(self, site, path, monkeypatch):
        dialled = Dialled(monkeypatch, site.port)
        site.answers["/a"] = redirect("http://inside.example/secret")
        addresses = {NAME: ["1.1.1.1"], "inside.example": ["10.0.0.1"]}
        found = Fetcher([f"http://{NAME}", "http://inside.example"], resolve=lambda host, _: addresses[host])

        assert "without an address" in str(refused(found, f"http://{NAME}/a", path))
        assert dialled.called == [("1.1.1.1", 80)]

    def test_the_same_name_is_checked_again(self, site, path, monkeypatch):
        dialled, leads = Dialled(monkeypatch, site.port), [["1.1.1.1"], ["10.0.0.1"]]
        site.answers["/a"] = redirect("/file")

        assert "without an address" in str(
            refused(Fetcher([f"http://{NAME}"], resolve=lambda *_: leads.pop(0)), f"http://{NAME}/a", path)
        )
        assert dialled.called == [("1.1.1.1", 80)]

    def test_three_are_followed_and_no_more(self, site, path):
        for step in range(1, 6):
            site.answers[f"/{step}"] = redirect(f"/{step - 1}" if step > 1 else "/file")
        found = fetcher(site.uri(""))

        assert found.fetch(site.uri("/3"), path) == len(FILE)
        assert "more than 3 times" in str(refused(found, site.uri("/4"), path))
        assert site.calls == 8

    def test_one_that_leads_nowhere(self, site, path):
        site.answers["/a"] = b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"

        assert "more than 3 times" in str(refused(fetcher(site.uri("")), site.uri("/a"), path))


class TestSize:
    @pytest.mark.parametrize("size", [1000, 1001])
    @pytest.mark.parametrize("announced", [True, False])
    def test_a_byte_more_is_too_much(self, site, path, size, announced):
        site.answers["/file"] = ok(b"x" * size) if announced else ok(b"x" * size, "connection: close")
        found = fetcher(site.uri(""), max_bytes=1000)

        if size == 1000:
            assert found.fetch(site.uri(), path) == 1000
        else:
            said = refused(found, site.uri(), path)
            assert (said.status, said.code) == (413, "too_large")
            assert "1,000 bytes" in str(said)

    def test_one_that_says_so_is_not_waited_for(self, site, path):
        site.answers["/file"] = ok(b"", "content-length: 1001")

        assert refused(fetcher(site.uri(""), max_bytes=1000), site.uri(), path).code == "too_large"

    @pytest.mark.parametrize(
        ("answer", "piece", "status"),
        [
            (ok(b"", "connection: close"), b"x" * 4096, 413),
            (ok(b"", "transfer-encoding: chunked"), b"1000\r\n" + b"x" * 4096 + b"\r\n", 413),
            (ok(b"", "transfer-encoding: chunked"), b"1;" + b"x" * 60_000 + b"\r\nx\r\n", 422),
            (ok(b"", "transfer-encoding: chunked") + b"0\r\n", b"x: " + b"x" * 60_000 + b"\r\n", 422),
            (b"HTTP/1.1 200 OK\r\nx: ", b"x" * 4096, 422),
            (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", 422),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 422),
        ],
        ids=["body", "chunks", "chunk sizes", "trailers", "header", "headers", "100"],
    )
    def test_what_never_ends_is_hung_up_on(self, site, path, answer, piece, status):
        site.answers["/file"], site.endless = answer, piece
        began = time.monotonic()
        said = refused(fetcher(site.uri(""), max_bytes=1 << 16, total_s=30.0), site.uri(), path)

        assert said.status == status
        assert site.gone.wait(2)
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize(
        "answer",
        [
            ok(FILE[:-1], f"content-length: {len(FILE)}"),
            ok(b"5\r\nabc", "transfer-encoding: chunked"),
            ok(b"5\r\nabcde\r\n", "transfer-encoding: chunked"),
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"",
        ],
        ids=["length", "chunk", "no last chunk", "headers", "nothing"],
    )
    def test_what_ends_early_is_not_taken_for_whole(self, site, path, answer):
        site.answers["/file"] = answer

        assert refused(fetcher(site.uri("")), site.uri(), path).status == 422


class TestAnswer:
    @pytest.mark.parametrize(
        "answer",
        [
            ok(gzip.compress(FILE), "content-encoding: gzip", "connection: close"),
            ok(b"x", "content-encoding: br", "content-length: 1"),
        ],
    )
    def test_what_comes_compressed_is_not_taken(self, site, path, answer):
        site.answers["/file"] = answer

        assert "compressed" in str(refused(fetcher(site.uri("")), site.uri(), path))

    def test_nor_in_an_encoding_that_was_not_asked_for(self, site, path):
        site.answers["/file"] = ok(b"x", "transfer-encoding: gzip, chunked")

        assert "transfer encoding" in str(refused(fetcher(site.uri("")), site.uri(), path))

    @pytest.mark.parametrize("status", [204, 206, 300, 304, 401, 404, 500])
    def test_any_status_but_200_is_no_file(self, site, path, status):
        site.answers["/file"] = f"HTTP/1.1 {status} Said\r\ncontent-length: 6\r\n\r\nsecret".encode()

        assert f"status {status}" in str(refused(fetcher(site.uri("")), site.uri(), path))

    @pytest.mark.parametrize(
        "answer",
        [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 100_000, b"+OK redis secret\r\n", b"secret"],
    )
    def test_what_is_no_http_is_told_without_a_word_of_it(self, site, path, answer):
        site.answers["/file"] = answer

        assert "as http does it" in str(refused(fetcher(site.uri("")), site.uri(), path))

    def test_nobody_listens(self, path):
        port = free_port()

        assert refused(fetcher(f"http://127.0.0.1:{port}"), f"http://127.0.0.1:{port}/", path).status == 422


class TestTime:
    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 500,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
            ok(b"x" * 500),
            ok(b"1\r\nx\r\n" * 100, "transfer-encoding: chunked"),
        ],
        ids=["header", "100", "body", "chunks"],
    )
    def test_a_byte_now_and_then_does_not_hold_us(self, site, path, answer):
        site.answers["/file"], site.pause_s = answer, 0.01
        began = time.monotonic()

        assert "in time" in str(refused(fetcher(site.uri(""), total_s=0.5), site.uri(), path))
        assert 0.4 < time.monotonic() - began < 2

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_nor_does_silence(self, path, scheme):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            place = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
            began = time.monotonic()
            said = refused(fetcher(place, connect_s=0.2, read_s=0.2), f"{place}/", path)

        assert "in time" in str(said)
        assert time.monotonic() - began < 2

    def test_redirects_share_the_time(self, site, path):
        site.answers["/file"], site.pause_s = redirect("/file"), 0.002
        began = time.monotonic()

        assert "in time" in str(refused(fetcher(site.uri(""), total_s=0.6, max_redirects=50), site.uri(), path))
        assert time.monotonic() - began < 2
        assert site.calls > 1

    @pytest.mark.parametrize("name", ["max_bytes", "connect_s", "read_s", "total_s", "max_redirects"])
    def test_limits_without_any_room(self, name):
        with pytest.raises(ValueError, match=name):
            FetchLimits(**{name: -1})


class TestManyAtOnce:
    def test_the_loop_goes_on_and_one_too_many_is_sent_away(self, site, tmp_path):
        paths = [tmp_path / str(index) for index in range(3)]
        for path in paths:
            path.touch()
        found = Fetcher([site.uri("")], at_once=2)
        site.answers["/slow"], site.pause_s = ok(b"x" * 10), 0.005

        async def fetch() -> list[int | BaseException]:
            return await asyncio.gather(*(found.fetched(site.uri("/slow"), p) for p in paths), return_exceptions=True)

        first, second, third = asyncio.run(fetch())
        assert (first, second) == (10, 10)
        assert isinstance(third, Refused)
        assert (third.status, third.retry_after_s) == (429, 1.0)
        assert asyncio.run(found.fetched(site.uri("/slow"), paths[2])) == 10

    def test_a_caller_who_leaves_gives_its_place_back(self, site, path):
        found = Fetcher([site.uri("")], at_once=1)
        site.answers["/slow"], site.pause_s = ok(b"x" * 10), 0.005

        async def leave() -> int:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(found.fetched(site.uri("/slow"), path), 0.05)
            path.unlink()
            with pytest.raises(Refused, match="no room"):
                await found.fetched(site.uri("/slow"), path)
            await asyncio.sleep(1)
            assert not path.exists()
            path.touch()
            return await found.fetched(site.uri("/slow"), path)

        assert asyncio.run(leave()) == 10


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Of media.example, signed by itself."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl here that makes a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    name = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path, "-days", "2"]
    made = subprocess.run([openssl, "req", "-x509", *key, *name], check=True, capture_output=True)
    with path.open("ab") as out:
        out.write(made.stdout)
    return path


class TestTLS:
    @pytest.fixture
    def named(self) -> list[str]:
        return []

    @pytest.fixture
    def secure(self, certificate, named) -> Iterator[Site]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _wire, name, _context: named.append(name)
        with Site(context) as started:
            started.answers["/file"] = ok(FILE)
            yield started

    @pytest.fixture
    def made(self, secure, certificate) -> Callable[..., Fetcher]:
        def make(host: str = NAME, trusted: bool = True) -> Fetcher:
            context = ssl.create_default_context(cafile=certificate) if trusted else None
            return fetcher(f"private+{secure.uri('', host, 'https')}", context=context)

        return make

    def test_the_name_is_asked_for_and_its_certificate_is_checked(self, secure, made, named, path):
        assert made().fetch(secure.uri("/file", NAME, "https"), path) == len(FILE)
        assert (named, path.read_bytes()) == ([NAME], FILE)

    @pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
    def test_a_certificate_of_another_name_is_not_talked_to(self, secure, made, path, host):
        assert "certificate" in str(refused(made(host), secure.uri("/file", host, "https"), path))
        assert secure.asked == []

    def test_nor_one_that_nobody_vouches_for(self, secure, made, path):
        assert "certificate" in str(refused(made(trusted=False), secure.uri("/file", NAME, "https"), path))
        assert secure.asked == []

    def test_a_redirect_to_http_is_refused_even_where_http_is_listed(self, secure, site, certificate, path):
        secure.answers["/a"] = redirect(site.uri("/file", NAME))
        listed = [f"private+{secure.uri('', NAME, 'https')}", f"private+{site.uri('', NAME)}"]
        found = fetcher(*listed, context=ssl.create_default_context(cafile=certificate))

        assert "from https to http" in str(refused(found, secure.uri("/a", NAME, "https"), path))
        assert site.calls == 0

    def test_an_end_that_was_not_announced_is_not_taken_for_the_end(self, secure, made, path):
        """The server closes without TLS's own end, as anybody on the way could."""
        secure.answers["/file"] = ok(FILE, "connection: close")

        assert refused(made(), secure.uri("/file", NAME, "https"), path).status == 422

    def test_plain_http_where_tls_was_wanted(self, site, path):
        place = site.uri("", "127.0.0.1", "https")

        assert refused(fetcher(place, connect_s=0.3), f"{place}/file", path).status == 422


def test_nothing_of_it_stays_open(site, path):
    before = (
        len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else pytest.skip("there is no /proc here")
    )
    found = fetcher(site.uri(""))
    site.answers["/big"], site.answers["/away"] = ok(b"", "content-length: 9999999"), redirect("/file")
    for _ in range(5):
        found.fetch(site.uri("/away"), path)
        refused(found, site.uri("/big"), path)
        refused(found, site.uri("/missing"), path)
    for thread in list(site.threads[1:]):
        thread.join(2)

    assert len(os.listdir("/proc/self/fd")) <= before
