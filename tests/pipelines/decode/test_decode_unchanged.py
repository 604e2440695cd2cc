"""A file that is changed while it is decoded: nothing is said of it, good or bad, that belongs to another content."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.decode.limits import Limits
from pipelines.decode.read import read
from pipelines.decode.unchanged import Stamp
from pipelines.decode.worker import Request, rows
from pipelines.rows import ErrorCode, MediaError
from pipelines.storage import content_hash, held_copy
from tests.mixed import write_video
from tests.watching import SMALL

LIMITS = Limits()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    write_video(path, "mp4-h264", seconds=5)
    return path


def asked(path: Path) -> Request:
    """For windows of a second each."""
    sha256, size = content_hash(str(path), LIMITS)
    return Request(sha256, str(path), size, replace(SMALL, window_ms=1000), LIMITS, stamp=Stamp.of(path))


def other_bytes(path: Path) -> None:
    """As many, with the date set back."""
    found = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(1000))


def replaced(path: Path) -> None:
    """By another file; who has this one open goes on reading it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(path.read_bytes()[::-1])
    beside.replace(path)


def ended(request: Request, change: Callable[[Path], object]) -> tuple[str | None, int]:
    """How a video ends that is changed after its first window, and how many windows it has."""
    steps = rows(request)
    found = [next(steps)]
    time.sleep(0.05)  # a file system's clock ticks every few milliseconds
    change(Path(request.path))
    found += steps
    assert [row["last"] for row in found] == [False] * (len(found) - 1) + [True]
    return found[-1]["error_code"], len(found)


def test_an_untouched_file_has_nothing_to_fear(video: Path) -> None:
    assert ended(asked(video), lambda _: None) == (None, 5)


@pytest.mark.parametrize("change", [other_bytes, longer, lambda path: os.truncate(path, 2000)])
def test_other_bytes_are_seen_at_the_end(video: Path, change: Callable[[Path], object]) -> None:
    assert ended(asked(video), change)[0] == "changed"


@pytest.mark.parametrize(
    "change",
    [Path.unlink, replaced, lambda path: path.chmod(0o600), lambda path: os.link(path, f"{path}.link"), os.utime],
)
def test_what_leaves_the_bytes_alone_is_no_change(video: Path, change: Callable[[Path], object]) -> None:
    assert ended(asked(video), change) == (None, 5)


@pytest.mark.parametrize("content", [b"", b"words", b"#EXTM3U\n"])
def test_what_is_no_video_any_more_is_changed_and_not_refused_for_what_it_became(video: Path, content: bytes) -> None:
    """A refusal would be kept for all that have the content that was hashed."""
    request = asked(video)
    time.sleep(0.05)
    video.write_bytes((content + bytes(request.size))[: request.size])
    (row,) = rows(request)
    assert (row["error_code"], row["last"], row["frame_ms"]) == ("changed", True, [])


def test_without_a_stamp_the_size_has_to_do(video: Path) -> None:
    request = replace(asked(video), stamp=None)
    other_bytes(video)
    assert [row["error_code"] for row in rows(request)] == ["unsupported_format"]


def test_a_request_keeps_its_stamp_on_the_way_to_the_child(video: Path) -> None:
    for request in (asked(video), replace(asked(video), stamp=None)):
        assert Request.from_line(request.to_line()) == request


def test_a_file_that_is_written_to_while_it_is_hashed_has_no_hash(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer(video)
    monkeypatch.setattr("pipelines.storage.CHUNK", 1000)
    monkeypatch.setattr("pipelines.decode.limits.Limits.check_bytes", lambda *_: longer(video))
    with pytest.raises(MediaError) as raised:
        content_hash(str(video), LIMITS)
    assert raised.value.code == ErrorCode.CHANGED


def test_a_copy_is_lent_only_with_the_content_that_was_hashed(video: Path) -> None:
    sha256, size = content_hash(str(video), LIMITS)
    with held_copy(str(video), LIMITS, sha256) as (path, stamp):
        assert (path, stamp.size) == (video, size)
    other_bytes(video)
    with pytest.raises(MediaError) as raised, held_copy(str(video), LIMITS, sha256):
        pass
    assert (raised.value.code, str(raised.value)) == (
        ErrorCode.CHANGED,
        "its content is not the one that was hashed",
    )


def test_what_fails_because_it_was_changed_is_changed(video: Path) -> None:
    """Between the check and the first look at its bytes."""
    checks: list[Path] = []

    def check(path: Path) -> None:
        checks.append(path)
        if len(checks) > 1:
            raise MediaError(ErrorCode.CHANGED, "as it should")
        video.write_bytes(b"words")

    with pytest.raises(MediaError) as raised:
        list(read(video, SMALL, LIMITS, check=check))
    assert raised.value.code == ErrorCode.CHANGED
