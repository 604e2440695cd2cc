"""Whatever happens to the decoder, its video gets its last row, and the next video a decoder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from pipelines.decode.child import DecodeChild, DecodeChildError
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.rows import WINDOWS
from tests.media import REPOSITORY
from tests.watching import SMALL, watch

Start = Callable[..., DecodeChild]
Rows = list[dict[str, object]]


def request(path: Path, sampling: Sampling = SMALL, limits: Limits | None = None, sha256: str = "a" * 64) -> Request:
    return Request(sha256, str(path), path.stat().st_size, sampling, limits or Limits())


def rows(child: DecodeChild, path: Path, sampling: Sampling = SMALL, sha256: str = "a" * 64) -> Rows:
    batches = list(child.windows(request(path, sampling, child.limits, sha256)))
    assert all(batch.num_rows == 1 and batch.schema == WINDOWS for batch in batches)
    found = pa.Table.from_batches(batches).to_pylist()
    assert [row["last"] for row in found] == [False] * (len(found) - 1) + [True]
    assert {row["content_sha256"] for row in found} == {sha256}
    return found


def ends_well(child: DecodeChild, film: Path) -> bool:
    (row,) = rows(child, film)
    return row["error_code"] is None and row["frame_ms"] == [0, 1000, 2000]


def pid_of(child: DecodeChild) -> int:
    assert child.process is not None
    return child.process.pid


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


# The ordinary case.


def test_the_rows_say_what_the_reader_saw(start_child: Start, long_film: Path) -> None:
    found = rows(start_child(), long_film)
    seen = watch(long_film)
    assert [row["frame_ms"] for row in found] == [list(window.frame_ms) for window in seen.windows]
    assert b"".join(row["frames_THWC"] for row in found) == seen.frames_THWC.tobytes()
    assert b"".join(row["audio_16k"] for row in found) == seen.sound.tobytes()
    assert [(row["start_ms"], row["end_ms"]) for row in found[:2]] == [(0, 30_000), (30_000, 60_000)]
    assert seen.end is not None
    assert (found[2]["start_ms"], found[2]["end_ms"]) == (60_000, seen.end.duration_ms)
    assert [row["duration_ms"] for row in found] == [None, None, seen.end.duration_ms]
    assert [row["decoder"] for row in found] == [None, None, "sparse"]
    assert [row["media"] for row in found] == [None, None, "video"]
    assert all(row["decode_ms"] > 0 for row in found)


def test_one_child_serves_many_videos(start_child: Start, film: Path) -> None:
    child = start_child()
    assert ends_well(child, film)
    first = pid_of(child)
    assert all(ends_well(child, film) for _ in range(3))
    assert pid_of(child) == first


def test_it_is_recycled(start_child: Start, film: Path) -> None:
    child = start_child(recycle_after=2)
    pids = []
    for _ in range(4):
        assert ends_well(child, film)
        pids.append(pid_of(child))
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert not is_alive(pids[0])


def test_a_bad_file_does_not_cost_the_child(start_child: Start, film: Path, tmp_path: Path) -> None:
    child = start_child()
    assert ends_well(child, film)
    first = pid_of(child)
    (tmp_path / "bad.mp4").write_bytes(b"#EXTM3U")
    (row,) = rows(child, tmp_path / "bad.mp4")
    assert (row["error_code"], row["media"], row["frame_ms"]) == ("playlist_refused", "video", [])
    assert ends_well(child, film)
    assert pid_of(child) == first


NAMES = [
    "视频🎬.mp4",
    "ویدیو.mp4",
    "new\nline.mp4",
    "tab\tand\rreturn.mp4",
    'quote".mp4',
    "back\\slash.mp4",
    " .mp4",
    "-i.mp4",
    "%s%n.mp4",
    "e\u0301.mp4",
    os.fsdecode(b"\xff\xfe\x80.mp4"),
    "x" * 251 + ".mp4",
]


def test_any_name(start_child: Start, film: Path, tmp_path: Path) -> None:
    child = start_child()
    for name in NAMES:
        (tmp_path / name).write_bytes(film.read_bytes())
        assert ends_well(child, tmp_path / name), name


def test_a_file_beside_it_is_not_imported(
    start_child: Start, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nightjar scan .` in a folder of strangers' files must not run them."""
    (tmp_path / "av.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    assert ends_well(start_child(), film)
    assert not (tmp_path / "ran").exists()


def test_what_an_import_does_to_the_path_for_a_moment_is_not_handed_down(
    start_child: Start, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV, imported by the models' thread while a child starts, puts a folder with a `typing` of its own first."""
    (tmp_path / "__init__.py").touch()
    (tmp_path / "typing.py").write_text("raise ImportError('not the one of Python')")
    monkeypatch.syspath_prepend(tmp_path)
    assert ends_well(start_child(), film)


# Deaths.

LOST_BY_KILL = ("decoder_crashed", "the decoder was lost: it ended with signal 9")


def killed_after_each_window(child: DecodeChild, path: Path, kills: int) -> list[dict[str, object]]:
    found = []
    for batch in child.windows(request(path)):
        found += batch.to_pylist()
        if len(found) <= kills:
            os.kill(pid_of(child), signal.SIGKILL)
            assert wait_until(lambda: not is_alive(pid_of(child)))
    return found


@pytest.mark.parametrize("kills", [1, 2])
def test_killed_from_outside_a_video_is_begun_again(start_child: Start, long_film: Path, kills: int) -> None:
    child = start_child()
    found = killed_after_each_window(child, long_film, kills)
    for row in (wanted := rows(child, long_film)) + found:
        del row["decode_ms"]
    assert found == wanted


def test_killed_from_outside_over_and_over(
    start_child: Start, msmpeg4_film: Path, decord_does: Callable[[str], object], ffmpeg_does: Callable[[str], object]
) -> None:
    """As the kernel does to what fills the memory."""
    child = start_child()
    decord_does("os.kill(os.getpid(), 9)")
    ffmpeg_does("os.kill(os.getpid(), 9)")
    (row,) = rows(child, msmpeg4_film)
    assert (row["error_code"], row["error_message"]) == LOST_BY_KILL
    decord_does("")
    ffmpeg_does("")
    assert ends_well(child, msmpeg4_film)


def test_begun_again_and_gone(start_child: Start, long_film: Path) -> None:
    child = start_child()
    windows = child.windows(request(long_film))
    (first,) = next(windows).to_pylist()
    os.kill(pid_of(child), signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid_of(child)))
    moved = long_film.rename(long_film.with_suffix(".moved"))
    try:
        rest = [batch.to_pylist()[0] for batch in windows]
    finally:
        moved.rename(long_film)
    assert first["window_index"] == 0
    assert [row["window_index"] for row in rest] == list(range(1, len(rest) + 1))
    assert (rest[-1]["error_code"], rest[-1]["last"]) == ("not_found", True)


def test_killed_while_it_starts(start_child: Start, film: Path, shadow: Path) -> None:
    again = shadow / "again"
    kill = f"import os\nif not os.path.exists({str(again)!r}): open({str(again)!r}, 'w'), os.kill(os.getpid(), 9)\n"
    (shadow / "__init__.py").write_text(kill + textwrap.dedent(DECORD))
    assert ends_well(start_child(), film)
    assert again.exists()


def test_killed_between_two_videos(start_child: Start, film: Path) -> None:
    child = start_child()
    assert ends_well(child, film)
    os.kill(pid_of(child), signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid_of(child)))
    assert ends_well(child, film)


def test_a_decoder_that_hangs(start_child: Start, film: Path) -> None:
    child = start_child()
    assert ends_well(child, film)
    child.limits = replace(child.limits, stall_seconds=1.5)
    pid = pid_of(child)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    (row,) = rows(child, film)
    assert 1.4 < time.monotonic() - began < 10
    assert (row["error_code"], row["error_message"]) == ("timeout", "the decoder gave nothing for 1.5 s")
    assert not is_alive(pid)
    child.limits = replace(child.limits, stall_seconds=30)
    assert ends_well(child, film)


def test_a_decoder_that_hangs_after_the_first_window(start_child: Start, long_film: Path) -> None:
    child = start_child()
    windows = child.windows(request(long_film))
    next(windows)
    child.limits = replace(child.limits, stall_seconds=1.5)
    os.kill(pid_of(child), signal.SIGSTOP)
    rest = [batch.to_pylist()[0] for batch in windows]
    assert (rest[-1]["error_code"], rest[-1]["last"]) == ("timeout", True)


def test_a_slow_consumer_is_no_stall(start_child: Start, long_film: Path) -> None:
    child = start_child(stall_seconds=3)
    codes = []
    for batch in child.windows(request(long_film)):
        codes += batch["error_code"].to_pylist()
        if len(codes) == 1:
            time.sleep(4)
    assert codes == [None, None, None]


def test_a_caller_that_stops_early_leaves_nothing_for_the_next_video(
    start_child: Start, long_film: Path, film: Path
) -> None:
    child = start_child()
    for stop_after in (1, 2, 3):
        windows = child.windows(request(long_film, sha256="b" * 64))
        for _ in range(stop_after):
            next(windows)
        windows.close()
        assert child.process is None
        assert ends_well(child, film)


def test_a_caller_that_is_gone_after_an_exception(start_child: Start, long_film: Path, film: Path) -> None:
    child = start_child()

    def fails() -> None:
        for _ in child.windows(request(long_film, sha256="b" * 64)):
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert ends_well(child, film)


def test_the_child_outlives_the_thread_that_asked_first(start_child: Start, film: Path) -> None:
    child = start_child()
    for _ in range(2):
        thread = threading.Thread(target=rows, args=(child, film))
        thread.start()
        thread.join()
    pid = pid_of(child)
    assert ends_well(child, film)
    assert pid_of(child) == pid


PARENT = """
    import sys
    from pathlib import Path
    from pipelines.decode.child import DecodeChild
    from pipelines.decode.limits import Limits, Sampling
    from pipelines.decode.worker import Request
    path = Path(sys.argv[1])
    child = DecodeChild(Limits())
    request = Request("a" * 64, str(path), path.stat().st_size, Sampling(frame_side=64), Limits())
    for batch in child.windows(request):
        print(child.process.pid, batch.num_rows, flush=True)
        if sys.argv[2] == "middle":
            input()
    if sys.argv[2] == "hanging":
        list(child.windows(request))
    input()
"""
HANGS_THE_SECOND_TIME = """
    second = Path(__file__).with_name("second")
    if second.exists():
        second.with_name("hanging").touch()
        ctypes.PyDLL(None).sleep(600)
    second.touch()
"""


@pytest.mark.parametrize("when", ["middle", "idle", "hanging"])
def test_the_child_dies_with_its_parent(
    long_film: Path, msmpeg4_film: Path, when: str, decord_does: Callable[[str], object], shadow: Path
) -> None:
    path = long_film if when == "middle" else msmpeg4_film
    decord_does(HANGS_THE_SECOND_TIME if when == "hanging" else "")
    code = f"import sys; sys.path.insert(0, {str(shadow.parent)!r})\n" + textwrap.dedent(PARENT)
    command = [sys.executable, "-c", code, str(path), when]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        assert is_alive(pid)
        assert when != "hanging" or wait_until(lambda: (shadow / "hanging").exists())
        parent.kill()
        parent.wait()
        assert wait_until(lambda: not is_alive(pid))


def test_the_child_goes_when_its_parent_ends_in_peace(film: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(film), "idle"]
    done = subprocess.run(command, input=b"\n", capture_output=True, cwd=REPOSITORY, timeout=60, check=True)
    assert wait_until(lambda: not is_alive(int(done.stdout.split()[0])))
    assert done.stderr == b""


# Decoders that misbehave: this one takes decord's place in the child and does what a file beside it says.

DECORD = """
    import ctypes, os, sys, time
    from pathlib import Path
    import av

    class DECORDError(Exception): pass
    class DECORDLimitReachedError(Exception): pass

    def obey(name):
        exec(Path(__file__).with_name(name).read_text())

    class VideoReader:
        def __init__(self, *args, **kwargs):
            obey("decord")
            raise DECORDError("not me")

    open_container = av.open
    def disturbed(*args, **kwargs):
        obey("ffmpeg")
        return open_container(*args, **kwargs)
    av.open = disturbed
"""


@pytest.fixture
def shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for decord in the child; the files `decord` and `ffmpeg` in it are what these do."""
    package = tmp_path / "shadow" / "decord"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(DECORD))
    (package / "decord").touch()
    (package / "ffmpeg").touch()
    monkeypatch.syspath_prepend(package.parent)
    return package


@pytest.fixture
def decord_does(shadow: Path) -> Callable[[str], object]:
    return lambda code: (shadow / "decord").write_text(textwrap.dedent(code))


@pytest.fixture
def ffmpeg_does(shadow: Path) -> Callable[[str], object]:
    return lambda code: (shadow / "ffmpeg").write_text(textwrap.dedent(code))


CRASHES = {
    "abort": ("os.abort()", "the decoder was lost: it ended with signal 6"),
    "segfault": ("ctypes.string_at(0)", "the decoder was lost: it ended with signal 11"),
    "exit": ("os._exit(3)", "the decoder was lost: it ended with status 3"),
    "quiet exit": ("os._exit(0)", "the decoder was lost: it ended with status 0"),
    "exception": ("raise SystemError('boom')", "the decoder failed with SystemError"),
    "memory": ("bytearray(1 << 40)", "the decoder failed with MemoryError"),
    "abort in a thread": (
        "import threading; threading.Thread(target=os.abort).start(); time.sleep(60)",
        "the decoder was lost: it ended with signal 6",
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_costs_one_row(start_child: Start, film: Path, ffmpeg_does: Callable[[str], object], name: str) -> None:
    code, message = CRASHES[name]
    child = start_child()
    ffmpeg_does(code)
    (row,) = rows(child, film)
    assert (row["error_code"], row["error_message"]) == ("decoder_crashed", message)
    ffmpeg_does("")
    assert ends_well(child, film)


@pytest.mark.parametrize("code", ["os.abort()", "ctypes.string_at(0)", "os._exit(0)"])
def test_where_decord_crashes_pyav_has_the_video(
    start_child: Start, msmpeg4_film: Path, decord_does: Callable[[str], object], code: str
) -> None:
    decord_does(code)
    child = start_child()
    (row,) = rows(child, msmpeg4_film)
    assert (row["decoder"], row["error_code"], row["frame_ms"]) == ("pyav", None, [0, 1000, 2000])


def test_a_video_that_crashes_every_decoder_is_tried_twice(
    start_child: Start, film: Path, ffmpeg_does: Callable[[str], object], shadow: Path
) -> None:
    ffmpeg_does("open(Path(__file__).with_name('tries'), 'a').write('x'); os.abort()")
    (row,) = rows(start_child(), film)
    assert row["error_code"] == "decoder_crashed"
    assert (shadow / "tries").read_text() == "xx"


def test_a_child_that_dies_late_of_the_video_before_is_not_blamed_on_the_next(
    start_child: Start, film: Path, ffmpeg_does: Callable[[str], object]
) -> None:
    """decord's threads abort when they like."""
    child = start_child()
    assert ends_well(child, film)
    ffmpeg_does("os.unlink(Path(__file__).with_name('ffmpeg')); Path(__file__).with_name('ffmpeg').touch(); os.abort()")
    assert ends_well(child, film)


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(600)",
        "while True: pass",
        "ctypes.PyDLL(None).sleep(600)",  # holds the interpreter's lock, as decord's spins do
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)",
    ],
)
def test_a_hang_costs_one_row(
    start_child: Start, msmpeg4_film: Path, decord_does: Callable[[str], object], code: str
) -> None:
    child = start_child()
    assert ends_well(child, msmpeg4_film)
    child.limits = replace(child.limits, stall_seconds=1.5)
    decord_does(code)
    (row,) = rows(child, msmpeg4_film)
    assert row["error_code"] == "timeout"


@pytest.mark.parametrize(
    "code",
    [
        "print('noise' * 1000)",
        "os.write(1, b'noise' * 100_000)",
        "os.system('echo noise; yes | head -c 200000')",
        "sys.stdout.buffer.write(b'noise' * 100_000); sys.stdout.flush()",
        "os.write(2, b'noise' * 100_000)",
        "ctypes.CDLL(None).printf(b'noise\\n'); ctypes.CDLL(None).fflush(None)",
    ],
)
def test_what_a_decoder_prints_is_not_among_the_rows(
    start_child: Start,
    msmpeg4_film: Path,
    decord_does: Callable[[str], object],
    capfd: pytest.CaptureFixture[str],
    code: str,
) -> None:
    child = start_child()
    decord_does(code)
    assert ends_well(child, msmpeg4_film)
    assert ends_well(child, msmpeg4_film)
    assert capfd.readouterr() == ("", "")


def test_a_bomb_dies_alone(start_child: Start, film: Path, tmp_path: Path) -> None:
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")  # 18 KB that unfold to 600 MB
    child = start_child(max_pixels=10**9, child_memory_mb=900)
    (row,) = rows(child, tmp_path / "bomb.png")
    assert row["error_code"] in {"decoder_crashed", "damaged"}
    assert ends_well(child, film)


def test_damage_keeps_standard_error_quiet(
    start_child: Start, noisy_mp4: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(noisy_mp4.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    (tmp_path / "a.mp4").write_bytes(data)
    assert rows(start_child(), tmp_path / "a.mp4")[-1]["error_code"] == "damaged"
    assert capfd.readouterr() == ("", "")


def test_fifty_videos_leave_no_zombie_and_no_descriptor(
    start_child: Start, film: Path, tmp_path: Path, ffmpeg_does: Callable[[str], object]
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nonsense")
    child = start_child(recycle_after=20)
    assert ends_well(child, film)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        ffmpeg_does("os.abort()" if number % 12 == 5 else "")
        (row,) = rows(child, tmp_path / "bad.mp4" if number % 3 == 0 else film)
        assert row["error_code"] == (
            "unsupported_format" if number % 3 == 0 else "decoder_crashed" if number % 12 == 5 else None
        )
    assert len(os.listdir("/proc/self/fd")) == before
    child.close()
    children = [Path(f"/proc/self/task/{task}/children").read_text().split() for task in os.listdir("/proc/self/task")]
    assert not [pid for pids in children for pid in pids if not is_alive(int(pid))]


def test_a_decoder_that_cannot_start_is_no_videos_fault(
    start_child: Start, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "decord.py").write_text("raise ImportError('not built for this machine')")
    monkeypatch.syspath_prepend(tmp_path)
    child = start_child()
    with pytest.raises(DecodeChildError) as caught:
        rows(child, film)
    reason = "it ended with status 1: ImportError: not built for this machine"
    assert str(caught.value) == f"the decode child does not start: {reason}"
    monkeypatch.undo()
    assert ends_well(child, film)


def test_close_is_harmless_twice_and_before_the_first_video(start_child: Start, film: Path) -> None:
    child = start_child()
    assert child.close() is None
    assert ends_well(child, film)
    assert child.close() is None  # it was alive
    assert child.close() is None
    assert ends_well(child, film)


@pytest.mark.parametrize("side", [64, 256])
def test_a_request_survives_its_line(tmp_path: Path, side: int) -> None:
    sampling, limits = Sampling(frame_side=side, keyframes_only=True), Limits(max_bytes=5)
    asked = Request("a" * 64, str(tmp_path / os.fsdecode(b"\xff\n.mp4")), 7, sampling, limits)
    line = asked.to_line()
    assert line.count(b"\n") == 1
    assert Request.from_line(line) == asked
