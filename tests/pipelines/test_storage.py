"""Videos wherever they are: the same bytes, the same hash, the same reasons."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

import pipelines.remote
import pipelines.storage
from pipelines.decode.limits import Limits
from pipelines.places import local_path_of
from pipelines.rows import ErrorCode, MediaError
from pipelines.storage import CHUNK, content_hash, local_copy, modified_ns

CONTENT = b"nightjar" * 1000
LIMITS = Limits()


def hashed(content: bytes) -> tuple[str, int]:
    return hashlib.sha256(content).hexdigest(), len(content)


def refusal(uri: str, limits: Limits = LIMITS) -> MediaError:
    """The reason why a URI cannot be hashed, which is the one why it cannot be copied."""
    with pytest.raises(MediaError) as raised:
        content_hash(uri, limits)
    return raised.value


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, emptied."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


# What is local.


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b.mp4", "/a/b.mp4"),
        ("b.mp4", "b.mp4"),
        ("/a/100%25.mp4", "/a/100%25.mp4"),
        ("/a/b#c?d.mp4", "/a/b#c?d.mp4"),
        ("file:///a/b%20c.mp4", "/a/b c.mp4"),
        ("file:///a/b%23c%3Fd%25.mp4", "/a/b#c?d%.mp4"),
        ("file:///a/b#c?d.mp4", "/a/b#c?d.mp4"),
        ("file:///a/%FF%FE.mp4", "/a/\udcff\udcfe.mp4"),
        ("file:///a/new%0Aline.mp4", "/a/new\nline.mp4"),
        ("file:///a/new\nline.mp4", "/a/new\nline.mp4"),
        ("file://localhost/a.mp4", "/a.mp4"),
        ("local:///a.mp4", "/a.mp4"),
    ],
)
def test_local_uris(uri: str, path: str) -> None:
    assert local_path_of(uri) == Path(path)


@pytest.mark.parametrize("uri", ["s3://bucket/a.mp4", "gs://b/a.mp4", "https://h/a.mp4", "memory://a.mp4"])
def test_remote_uris(uri: str) -> None:
    assert local_path_of(uri) is None


def test_a_file_uri_round_trips_any_name(tmp_path: Path) -> None:
    for name in ("视频.mp4", "a b#c?d%e.mp4", "new\nline.mp4", os.fsdecode(b"\xff\xfe.mp4")):
        path = tmp_path / name
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
        assert content_hash(path.as_uri(), LIMITS) == hashed(path.read_bytes())


# Hashes.


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_the_hash_is_hashlibs(tmp_path: Path, memory: fsspec.AbstractFileSystem, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    memory.pipe("/a.mp4", content)
    assert content_hash(str(path), LIMITS) == hashed(content)
    assert content_hash(path.as_uri(), LIMITS) == hashed(content)
    assert content_hash("memory://a.mp4", LIMITS) == hashed(content)


def test_a_local_file_is_lent_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    with local_copy("a.mp4", LIMITS) as path:
        assert path == tmp_path / "a.mp4"
    assert path.exists()


def test_a_remote_object_is_lent_as_a_copy_that_goes_away(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/folder/a.mp4", CONTENT)
    with local_copy("memory://folder/a.mp4", LIMITS) as path:
        assert path.read_bytes() == CONTENT
    assert not path.exists()


def test_the_copy_goes_away_when_the_work_fails(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/a.mp4", CONTENT)
    with pytest.raises(KeyError), local_copy("memory://a.mp4", LIMITS) as path:
        raise KeyError
    assert not path.exists()


@pytest.mark.parametrize("name", ["x[1].mp4", "x*.mp4", "x?.mp4", "视频.mp4", "a b.mp4"])
def test_an_object_is_taken_by_its_name_and_not_by_a_pattern(memory: fsspec.AbstractFileSystem, name: str) -> None:
    memory.pipe("/x1.mp4", b"another")
    memory.pipe(f"/{name}", CONTENT)
    assert content_hash(f"memory://{name}", LIMITS) == hashed(CONTENT)


# Reasons.


def test_missing(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    for uri in (str(tmp_path / "gone.mp4"), (tmp_path / "gone.mp4").as_uri(), "memory://gone.mp4", "file:///gone"):
        assert refusal(uri).code == ErrorCode.NOT_FOUND


def test_empty(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    (tmp_path / "a.mp4").touch()
    memory.pipe("/a.mp4", b"")
    for uri in (str(tmp_path / "a.mp4"), "memory://a.mp4"):
        assert refusal(uri).code == ErrorCode.EMPTY_FILE


def test_too_large_ends_the_reading(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    content = bytes(5 * CHUNK)
    (tmp_path / "a.mp4").write_bytes(content)
    memory.pipe("/a.mp4", content)
    for uri in (str(tmp_path / "a.mp4"), "memory://a.mp4"):
        assert content_hash(uri, Limits(max_bytes=5 * CHUNK)) == hashed(content)
        assert refusal(uri, Limits(max_bytes=5 * CHUNK - 1)).code == ErrorCode.TOO_LARGE


def test_an_endless_object_is_not_spooled_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaError) as raised, local_copy("zeros://x", Limits(max_bytes=3 * CHUNK)):
        pass
    assert raised.value.code == ErrorCode.FETCH_FAILED  # nobody knows this scheme

    read = 0

    class Endless:
        def open(self, *_: object, **__: object) -> Endless:
            return self

        def invalidate_cache(self, path: str) -> None:
            pass

        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return bytes(size)

    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda uri: (Endless(), uri))
    with pytest.raises(MediaError) as raised, local_copy("s3://bucket/x", Limits(max_bytes=3 * CHUNK)):
        pass
    assert raised.value.code == ErrorCode.TOO_LARGE
    assert read == 4 * CHUNK


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for uri in (str(tmp_path), str(tmp_path / "pipe.mp4"), (tmp_path / "pipe.mp4").as_uri(), "local:///dev/zero"):
        assert refusal(uri).code == ErrorCode.NOT_A_FILE


@pytest.mark.parametrize("uri", ["zero\x00byte", "file:///zero%00byte", "half \ud83d", "x" * 5000, "memory://\x00", ""])
def test_uris_that_name_nothing(uri: str) -> None:
    assert refusal(uri).code in {ErrorCode.NOT_FOUND, ErrorCode.NOT_READABLE, ErrorCode.NOT_A_FILE}
    assert modified_ns(uri) is None or uri == ""


@pytest.mark.parametrize("uri", ["nosuchscheme://a", "simplecache::file:///etc/hostname", "zip://a::memory://b", "://"])
def test_uris_that_nobody_can_fetch(uri: str) -> None:
    assert refusal(uri).code in {ErrorCode.FETCH_FAILED, ErrorCode.NOT_FOUND}


def test_a_file_system_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    error = refusal("s3://bucket/a.mp4")
    assert error.code == ErrorCode.FETCH_FAILED
    assert str(error) == "this installation cannot fetch it: Install s3fs to access S3"


class OfItsOwnError(Exception):
    """As HTTP clients and cloud libraries raise: no OSError."""


@pytest.mark.parametrize("error", [OfItsOwnError("no"), TimeoutError("slow"), PermissionError("denied"), KeyError("x")])
def test_whatever_a_file_system_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(fsspec.core, "url_to_fs", fails)
    monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01,))
    assert refusal("s3://bucket/a.mp4").code == ErrorCode.FETCH_FAILED
    assert str(refusal("s3://bucket/a.mp4")) == f"{type(error).__name__} while fetching it"


def test_no_room_for_the_copy(memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/a.mp4", CONTENT)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(pipelines.storage.tempfile, "NamedTemporaryFile", lambda **_: full.open("wb", buffering=0))
    with pytest.raises(MediaError) as raised, local_copy("memory://a.mp4", LIMITS):
        pass
    assert raised.value.code == ErrorCode.FETCH_FAILED
    assert str(raised.value) == "no room for a copy: No space left on device"


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(CONTENT)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert refusal(str(path)).code == ErrorCode.NOT_READABLE


def test_when_a_file_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(CONTENT)
    hashed_at, found = modified_ns(str(path)), path.stat()
    assert modified_ns(path.as_uri()) == modified_ns(str(path)) == hashed_at
    time.sleep(0.05)  # a file system's clock ticks every few milliseconds
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_mtime_ns == found.st_mtime_ns
    assert modified_ns(str(path)) > hashed_at
    assert modified_ns("s3://bucket/a.mp4") is None
    assert modified_ns(str(tmp_path / "gone.mp4")) is None


# A real server, on this machine.


class Handler(BaseHTTPRequestHandler):
    """Serves one file, breaks off another, and refuses the rest."""

    def do_GET(self) -> None:
        if self.path.startswith("/a.mp4"):
            self._answer(200, CONTENT, len(CONTENT))
        elif self.path.startswith("/short.mp4"):
            self._answer(200, CONTENT, len(CONTENT) + 1000)
        else:
            self._answer(int(self.path.strip("/")), b"", 0)

    do_HEAD = do_GET

    def _answer(self, status: int, content: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("aiohttp")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def test_http(server: str) -> None:
    assert content_hash(f"{server}/a.mp4", LIMITS) == hashed(CONTENT)
    assert content_hash(f"{server}/a.mp4?signed=1", LIMITS) == hashed(CONTENT)


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
def test_http_refusals_are_reasons(server: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01,))
    assert refusal(f"{server}/{status}").code == (
        ErrorCode.NOT_FOUND if status in {404, 410} else ErrorCode.FETCH_FAILED
    )


def test_an_answer_that_breaks_off_is_not_the_video(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01,))
    assert refusal(f"{server}/short.mp4").code == ErrorCode.FETCH_FAILED


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("aiohttp")
    assert refusal("http://127.0.0.1:9/a.mp4").code in {ErrorCode.NOT_FOUND, ErrorCode.FETCH_FAILED}
