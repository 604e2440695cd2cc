"""Videos on S3: the right bytes or a reason, whatever the server and the network do; never other bytes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import pipelines.remote
from pipelines.contents import Hash
from pipelines.decode.limits import Limits
from pipelines.decode.stage import Decode
from pipelines.rows import ErrorCode, MediaError
from pipelines.stage import run_local
from pipelines.storage import CHUNK, content_hash, held_copy, local_copy
from tests.mixed import write_video
from tests.s3_server import FAULTS, S3, SECRET, serving
from tests.watching import SMALL

LIMITS = Limits()
CONTENT = bytes(range(256)) * (CHUNK // 64) + b"the end"  # 4 MiB and 7 bytes


def hashed(content: bytes) -> tuple[str, int]:
    return hashlib.sha256(content).hexdigest(), len(content)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serving() as server:
        yield server


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket that this process reaches as workers do: by its environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pipelines.remote, "BLOCK", CHUNK)  # several requests an object
    _forget_connections()
    s3.faults(0)
    yield s3.bucket("uploads")
    s3.faults(0)
    _forget_connections()


def _forget_connections() -> None:
    """They keep the credentials and the address that they were made with."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def refusal(uri: str, limits: Limits = LIMITS) -> MediaError:
    with pytest.raises(MediaError) as raised:
        content_hash(uri, limits)
    return raised.value


def copied(uri: str) -> bytes:
    with local_copy(uri, LIMITS) as path:
        return path.read_bytes()


@pytest.mark.parametrize("name", ["a.mp4", "日/夜 1+1=2 & 100%.mp4", "x[1]*?.mp4", "#.mp4", "😀.mp4"])
def test_an_object_is_its_bytes_under_any_name(s3: S3, bucket: str, name: str) -> None:
    s3.files.pipe_file(f"{bucket}/{name}", CONTENT)
    assert content_hash(f"{bucket}/{name}", LIMITS) == hashed(CONTENT)
    assert copied(f"{bucket}/{name}") == CONTENT


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_an_object_of_any_size(s3: S3, bucket: str, size: int) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT[:size])
    assert content_hash(f"{bucket}/a.mp4", LIMITS) == hashed(CONTENT[:size])


def test_what_is_not_there_empty_or_too_large(s3: S3, bucket: str) -> None:
    s3.files.pipe(f"{bucket}/empty.mp4", b"")
    s3.files.pipe(f"{bucket}/large.mp4", CONTENT)
    assert refusal(f"{bucket}/gone.mp4").code == ErrorCode.NOT_FOUND
    assert refusal("s3://no-such-bucket/gone.mp4").code == ErrorCode.NOT_FOUND
    assert refusal(f"{bucket}/empty.mp4").code == ErrorCode.EMPTY_FILE
    assert refusal(f"{bucket}/large.mp4", Limits(max_bytes=CHUNK)).code == ErrorCode.TOO_LARGE


def test_an_object_too_large_is_not_fetched_to_its_end(s3: S3, bucket: str) -> None:
    s3.files.pipe(f"{bucket}/large.mp4", CONTENT)
    before = len(s3.requests())
    assert refusal(f"{bucket}/large.mp4", Limits(max_bytes=CHUNK)).code == ErrorCode.TOO_LARGE
    assert sum(request.startswith("GET") for request in s3.requests()[before:]) <= 2


# Faults.


@pytest.mark.parametrize("kind", FAULTS)
def test_a_request_in_four_fails_and_the_bytes_are_right(s3: S3, bucket: str, kind: str) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    s3.faults(0.25, kind)
    assert [content_hash(f"{bucket}/a.mp4", LIMITS) for _ in range(2)] == [hashed(CONTENT)] * 2
    assert s3.count() > 0


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_requests_fail_one_way_or_another_and_no_byte_is_wrong(s3: S3, bucket: str, seed: int) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    s3.faults(0.5, seed=seed)
    for _ in range(2):
        try:
            found: object = content_hash(f"{bucket}/a.mp4", LIMITS)
        except MediaError as error:
            found = error.code
        assert found in {hashed(CONTENT), ErrorCode.FETCH_FAILED}
    assert s3.count() > 0


class Breaking:
    """Lets the file system's own retries run out at the third chunk of each of the first openings."""

    def __init__(
        self, times: int, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        import s3fs

        self.times, self.meanwhile, self.read = times, meanwhile, s3fs.S3File.read
        self.offsets: list[int] = []
        monkeypatch.setattr(s3fs.S3File, "read", lambda file, size: self.next(file, size))
        monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01, 0.01))

    def next(self, file: object, size: int) -> bytes:
        self.offsets.append(file.tell())
        if self.times and file.tell() >= 2 * CHUNK:
            self.times -= 1
            self.meanwhile()
            raise ConnectionResetError("by peer")
        return self.read(file, size)


def test_what_breaks_off_goes_on_where_it_was(s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    broken = Breaking(2, monkeypatch)
    assert content_hash(f"{bucket}/a.mp4", LIMITS) == hashed(CONTENT)
    assert broken.offsets == [0, CHUNK, *3 * [2 * CHUNK], 3 * CHUNK, 4 * CHUNK, len(CONTENT)]


def test_what_breaks_off_for_ever_is_a_reason(s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    broken = Breaking(1000, monkeypatch)
    error = refusal(f"{bucket}/a.mp4")
    assert (error.code, str(error)) == (ErrorCode.FETCH_FAILED, "ConnectionResetError while fetching it")
    assert len(broken.offsets) == 5


@pytest.mark.parametrize("size", [len(CONTENT), 3 * CHUNK])
def test_an_object_replaced_where_it_broke_off_is_no_mixture(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    Breaking(1, monkeypatch, lambda: s3.files.pipe(f"{bucket}/a.mp4", bytes(size)))
    assert refusal(f"{bucket}/a.mp4").code == ErrorCode.CHANGED


def test_an_object_replaced_between_two_requests_is_no_mixture(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    chunks = pipelines.remote.remote_chunks(f"{bucket}/a.mp4", 60)
    assert next(chunks) == CONTENT[:CHUNK]
    s3.files.pipe(f"{bucket}/a.mp4", bytes(len(CONTENT)))
    with pytest.raises(MediaError) as raised:
        list(chunks)
    assert (raised.value.code, str(raised.value)) == (ErrorCode.CHANGED, "the object was replaced while it was fetched")


def test_bytes_that_do_not_come_are_not_waited_for(s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    monkeypatch.setattr(s3fs.S3File, "read", lambda *_: time.sleep(20))
    monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01,))
    began = time.monotonic()
    error = refusal(f"{bucket}/a.mp4", Limits(stall_seconds=0.2))
    assert (error.code, str(error)) == (ErrorCode.FETCH_FAILED, "TimeoutError while fetching it")
    assert time.monotonic() - began < 10


def test_fewer_bytes_than_the_object_has_are_not_the_object(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    monkeypatch.setattr(s3fs.S3File, "read", lambda *_: b"")
    monkeypatch.setattr(pipelines.remote, "PAUSES_S", (0.01,))
    assert refusal(f"{bucket}/a.mp4").code == ErrorCode.FETCH_FAILED


# Credentials.


def test_wrong_credentials_are_a_reason_at_once_and_no_secret_is_told(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    _forget_connections()
    began = time.monotonic()
    error = refusal(f"{bucket}/a.mp4")
    assert error.code == ErrorCode.FETCH_FAILED
    assert str(error) == "PermissionError while fetching it"
    assert time.monotonic() - began < 2


def test_no_credentials_are_a_reason_at_once(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    _forget_connections()
    began = time.monotonic()
    assert refusal(f"{bucket}/a.mp4").code == ErrorCode.FETCH_FAILED
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("scheme", ["s3", "s3a", "gs"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(scheme: str) -> None:
    error = refusal(f"{scheme}://key:{SECRET}@uploads/a.mp4")
    assert error.code == ErrorCode.FETCH_FAILED
    assert str(error) == f"the URI carries credentials, which {scheme}:// takes from the environment"


def test_a_presigned_address_is_fetched_and_its_signature_never_told(s3: S3, bucket: str) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    signed = s3.files.sign(f"{bucket}/a.mp4").replace(s3.files.endpoint_url, s3.endpoint)
    assert "Signature=" in signed
    error = refusal(signed.replace("nightjar-tests", "somebody-else"))
    assert (error.code, str(error)) == (ErrorCode.FETCH_FAILED, "ClientResponseError while fetching it")
    assert content_hash(signed, LIMITS) == hashed(CONTENT)


# Between hashing and decoding.


def test_a_copy_is_held_to_its_hash(s3: S3, bucket: str) -> None:
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT)
    sha256, _ = content_hash(f"{bucket}/a.mp4", LIMITS)
    with held_copy(f"{bucket}/a.mp4", LIMITS, sha256) as (path, stamp):
        assert path.read_bytes() == CONTENT
        assert stamp.size == len(CONTENT)
    s3.files.pipe(f"{bucket}/a.mp4", CONTENT[::-1])
    with pytest.raises(MediaError) as raised, held_copy(f"{bucket}/a.mp4", LIMITS, sha256):
        pass
    assert raised.value.code == ErrorCode.CHANGED


def test_an_object_replaced_after_it_was_hashed_is_not_looked_at(s3: S3, bucket: str, tmp_path: Path) -> None:
    for seed in range(2):
        write_video(tmp_path / f"{seed}.avi", "avi-mjpeg", seconds=1, seed=seed)
    first, second = ((tmp_path / f"{seed}.avi").read_bytes() for seed in range(2))
    uris = [f"{bucket}/{name}.avi" for name in ("kept", "replaced", "gone")]
    for uri in uris:
        s3.files.pipe(uri, first)
    manifest = pa.table({"video_id": uris, "uri": uris})
    contents = run_local([Hash(limits=LIMITS)], manifest).select(["content_sha256", "uri", "bytes"])
    s3.files.pipe(uris[1], (second + bytes(len(first)))[: len(first)])  # as many bytes
    s3.files.rm(uris[2])
    windows = run_local([Decode(sampling=SMALL, limits=LIMITS)], contents).to_pylist()
    assert [row["error_code"] for row in windows] == [None, "changed", "not_found"]
    assert [len(row["frame_ms"]) for row in windows] == [1, 0, 0]
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("nightjar-*.avi"))
