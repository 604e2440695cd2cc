"""The relay with real sockets: who answers, who waits, and what is said when a replica dies."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines.serving import relay
from pipelines.serving.relay import PORTS, Relay, free_block


class Replica(ThreadingHTTPServer):
    """Answers with its port, and the size of what it got; can hold an answer back, and die."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.go, self.asked = threading.Event(), threading.Event()
        self.go.set()
        self.open: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def process_request(self, request, client_address) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        """Callers go away."""

    def die(self) -> None:
        """As a killed process: nobody listens, and every connection ends."""
        self.shutdown()
        self.server_close()
        for one in self.open:
            with closing(one):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Replica

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.set()
        self.server.go.wait(20)
        said = f"{self.server.server_address[1]} {size}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def block() -> range:
    return free_block()


@contextmanager
def replica(port: int) -> Iterator[Replica]:
    made = Replica(port)
    try:
        yield made
    finally:
        made.go.set()
        made.die()


@contextmanager
def relaying(block: range, expected: int = 1) -> Iterator[Relay]:
    with closing(Relay("127.0.0.1", 0, block)) as made:
        made.expected = expected
        yield made


def call(connection: http.client.HTTPConnection, body: bytes = b"abc") -> tuple[int, str]:
    connection.request("POST", "/v1/check", body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def caller(made: Relay) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", made.port, timeout=20)


def test_a_connection_goes_on_to_the_replica_with_all_its_requests(block):
    with replica(block[3]), relaying(block) as made, closing(caller(made)) as connection:
        assert call(connection) == (200, f"{block[3]} 3")
        assert call(connection, b"x" * 5_000_000) == (200, f"{block[3]} 5000000")


def test_without_a_replica_the_proxy_answers_and_without_a_proxy_nobody(block):
    with relaying(block) as made:
        with closing(caller(made)) as connection:
            connection.request("POST", "/", b"x")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert b'"code": "replica_lost"' in answer.read()
        with replica(block[0]), closing(caller(made)) as connection:
            assert call(connection) == (200, f"{block[0]} 3")
        with replica(block[0]), replica(block[5]), closing(caller(made)) as connection:
            assert call(connection) == (200, f"{block[5]} 3")


def test_who_waits_for_a_replica_that_dies_is_told_to_try_again(block):
    with replica(block[1]) as one, relaying(block) as made, closing(caller(made)) as connection:
        one.go.clear()
        connection.request("POST", "/v1/check", b"abc")
        assert one.asked.wait(20)
        one.die()
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        assert b"replica_lost" in answer.read()
        with replica(block[2]), closing(caller(made)) as again:
            assert call(again) == (200, f"{block[2]} 3")


def test_who_still_sends_when_the_replica_dies_is_told_so_too(block):
    with relaying(block) as made, closing(caller(made)) as connection:
        connection.request("POST", "/v1/check", b"x" * 3_000_000)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert b"replica_lost" in answer.read()


def test_an_idle_connection_to_a_replica_that_dies_just_ends(block):
    with replica(block[1]) as one, relaying(block) as made, closing(caller(made)) as connection:
        assert call(connection) == (200, f"{block[1]} 3")
        one.die()
        assert rest(connection.sock) == b""


def test_an_answer_that_came_before_the_body_was_whole_is_not_followed_by_another(block):
    class Refuses(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            go.wait(20)

    go = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", block[1]), Refuses) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with relaying(block) as made, closing(socket.create_connection(("127.0.0.1", made.port), 20)) as connection:
            connection.sendall(b"POST /v1/check HTTP/1.1\r\ncontent-length: 99999\r\n\r\n" + b"x" * 100)
            assert connection.recv(4096).startswith(b"HTTP/1.1 413")
            connection.sendall(b"x" * 1000)
            go.set()
            assert rest(connection) == b""
        server.shutdown()


def rest(connection: socket.socket) -> bytes:
    """What still comes; where bytes were left unread the end is a reset."""
    try:
        return connection.recv(4096)
    except ConnectionError:
        return b""


def test_several_replicas_share_the_connections(block):
    with replica(block[1]), replica(block[2]), relaying(block, expected=2) as made:
        connections = [caller(made) for _ in range(6)]
        answers = sorted(call(connection)[1] for connection in connections)
        assert answers == [f"{block[1]} 3"] * 3 + [f"{block[2]} 3"] * 3
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("before", [0, 1, 3])
def test_callers_who_come_at_once_are_shared_too(block, before):
    """As the connections of a client's pool do: each counts before its replica has been reached."""
    request = b"POST / HTTP/1.1\r\nhost: it\r\ncontent-length: 1\r\n\r\nx"
    with replica(block[1]) as one, replica(block[2]) as two, relaying(block, expected=2) as made, ExitStack() as open_:
        earlier = [open_.enter_context(closing(caller(made))) for _ in range(before)]
        for connection in earlier:
            call(connection)
        here = ("127.0.0.1", made.port)
        crowd = [open_.enter_context(socket.create_connection(here)) for _ in range(16)]
        for each in crowd:
            each.sendall(request)
        for each in crowd:
            assert each.recv(1 << 16).startswith(b"HTTP/1.1 200")
        shares = sorted(len(replica.open) for replica in (one, two))
    assert sum(shares) == before + 16
    assert shares[1] - shares[0] <= 1


def test_a_caller_that_reads_slowly_holds_nothing_up_but_itself(block):
    class Pours(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            try:
                for _ in range(400):
                    self.request.sendall(b"x" * 100_000)
                    poured.append(100_000)
            except OSError:
                return

    poured: list[int] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", block[1]), Pours) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with relaying(block) as made, closing(socket.create_connection(("127.0.0.1", made.port), 20)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(10)
            threading.Event().wait(0.5)
            assert sum(poured) < 20_000_000
            assert len(made.callers) == 1
        server.shutdown()


def test_closing_ends_every_connection(block):
    with replica(block[1]):
        made = Relay("127.0.0.1", 0, block)
        with closing(caller(made)) as connection:
            call(connection)
            port = made.port
            made.close()
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                call(connection)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_a_port_that_is_taken_is_an_error():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, pytest.raises(OSError, match="in use"):
        Relay("127.0.0.1", taken.getsockname()[1], range(20000, 20017))


def test_services_that_start_together_are_given_blocks_of_their_own():
    """None has taken its ports yet; twelve times the same of 705 would be no chance."""
    assert len({free_block() for _ in range(12)}) > 1


def test_a_block_that_is_taken_in_part_is_not_given(monkeypatch):
    first = free_block()
    assert len(first) == PORTS + 1
    monkeypatch.setattr(relay.random, "sample", lambda firsts, _: sorted(firsts, key=lambda each: each != first[0]))
    assert free_block() == first
    with closing(socket.create_server(("127.0.0.1", first[4]))):
        assert set(free_block()).isdisjoint(first)
    monkeypatch.setattr(relay, "is_free", lambda _: False)
    with pytest.raises(relay.NightjarError, match="17 neighbouring ports"):
        free_block()
