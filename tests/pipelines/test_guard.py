"""A model that fails, crashes, hangs or is killed on one window costs that window, and nothing else of the night."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model_registry.errors import NightjarError
from pipelines.attempts import Attempts, Marker
from pipelines.contents import Hash
from pipelines.decode.limits import Limits, Sampling
from pipelines.guard import KILLS, Guarded
from pipelines.local.pool import stream
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Commit, Pieces
from pipelines.rows import WINDOWS, ErrorCode
from pipelines.speech.heard import Heard
from pipelines.stage import Drop, PipelineError, Together, check, run, run_local
from tests.fakes import Fragile, Poison
from tests.footage import Tone, write_film

ROOT = Path(__file__).parents[2]


def window(content, index=0, value=None, last=True, **more):
    """Two frames of one brightness."""
    pixels = np.full((2, 4, 6, 3), (10 * content + index) if value is None else value, np.uint8)
    row = dict.fromkeys(WINDOWS.names)
    start_ms = index * 30_000
    return row | {
        "content_sha256": f"{content:064x}",
        "window_index": index,
        "last": last,
        "start_ms": start_ms,
        "end_ms": start_ms + 1000,
        "duration_ms": start_ms + 1000 if last else None,
        "frame_ms": [start_ms, start_ms + 500],
        "frame_height": 4,
        "frame_width": 6,
        "frames_THWC": pixels.tobytes(),
        "audio_16k": b"\0\0",
        "decode_ms": 1.0,
        **more,
    }


def table_of(*rows):
    return pa.Table.from_pylist(list(rows), WINDOWS)


def block(*poisons, first=0):
    """Two clean contents of two windows each, and poison between the windows of the second."""
    clean = [window(first + content, index, last=index == 1) for content in range(2) for index in range(2)]
    harm = [window(100 * (first + 1) + place, value=poison) for place, poison in enumerate(poisons)]
    return table_of(*clean[:3], *harm, clean[3])


def group(tokens="", **spread):
    spread = {"actors": 1, "cpus": 0.5, "gpus": 0.0, **spread}
    return Together.of(Fragile(tokens=str(tokens)), Drop.of("frame_width"), source=WINDOWS.names, **spread)


def guarded(folder, tokens="", stall_seconds=30.0, **spread):
    return Guarded.over(group(tokens, **spread), str(folder), stall_seconds)


def rows_of(table):
    """What is to be equal, in order."""
    rows = table.drop_columns(["busy"]).to_pylist()
    return {(row["content_sha256"], row["window_index"]): row for row in rows}


def on_ray(stage, *blocks):
    import ray

    batches = run([stage], ray.data.from_arrow(list(blocks))).iter_batches(batch_size=None, batch_format="pyarrow")
    return pa.concat_tables([batch for batch in batches if batch.num_rows], promote_options="default")


def ends_of(table):
    """By brightness of the poison: code, message, attempts; and the clean rows as a run without a guard has them."""
    return {
        row["error_code"]: (row["error_message"], row["attempts"]) for row in table.to_pylist() if row["error_code"]
    }


def unharmed(*blocks):
    """What the unguarded group makes of the clean windows alone."""
    clean = [pa.Table.from_pylist([row for row in one.to_pylist() if is_clean(row)], WINDOWS) for one in blocks]
    return rows_of(pa.concat_tables([run_local([group()], one) for one in clean]))


def is_clean(row):
    return not row["frames_THWC"] or row["frames_THWC"][0] not in set(Poison)


def clean_of(found, *blocks):
    clean = {(row["content_sha256"], row["window_index"]) for one in blocks for row in one.to_pylist() if is_clean(row)}
    return {key: row for key, row in rows_of(found).items() if key in clean}


# In one process


def test_a_guard_promises_what_its_group_does(tmp_path):
    plain, stage = group(), guarded(tmp_path)
    assert (stage.name, stage.writes, stage.drops) == (plain.name, plain.writes, plain.drops)
    assert (stage.actors, stage.cpus, stage.gpus) == (plain.actors, plain.cpus, plain.gpus)
    assert check([stage], WINDOWS.names) == check([plain], WINDOWS.names)
    with pytest.raises(PipelineError, match=r"^stage fragile\+drop reads \['attempts'\]; available"):
        check([stage], set(WINDOWS.names) - {"attempts"})


def test_without_harm_a_guard_changes_nothing(tmp_path):
    found, wanted = run_local([guarded(tmp_path / "j")], block()), run_local([group()], block())
    assert found.drop_columns("busy").equals(wanted.drop_columns("busy"))
    assert [len(busy) for busy in found["busy"].to_pylist()] == [2, 0, 0, 0]
    assert list((tmp_path / "j").iterdir()) == []


def test_no_rows_are_no_rows(tmp_path):
    assert list(guarded(tmp_path).open()(WINDOWS.empty_table())) == []


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        (Poison.RAISE, "fragile failed with RuntimeError: it broke"),
        (
            Poison.NAN,
            "fragile failed with NightjarError: model fragile_head returned a value that is not a finite number",
        ),
    ],
)
def test_a_model_that_fails_costs_the_window_it_failed_on(tmp_path, poison, message):
    table = block(poison)
    found = run_local([guarded(tmp_path)], table)
    assert clean_of(found, table) == unharmed(table)
    assert ends_of(found) == {"model_failed": (message, 1)}
    assert found.column("window_index").to_pylist() == table.column("window_index").to_pylist()
    lost = next(row for row in found.to_pylist() if row["error_code"])
    assert lost["signals"] is None
    assert "frames_THWC" not in lost
    assert list(tmp_path.iterdir()) == []


def test_a_block_of_nothing_but_poison_has_the_columns_of_any_other(tmp_path):
    found = run_local([guarded(tmp_path)], table_of(window(1, value=Poison.RAISE)))
    assert found.schema.equals(run_local([guarded(tmp_path)], block()).schema)


def test_the_first_error_of_a_window_stays(tmp_path):
    damaged = window(1, value=Poison.RAISE, error_code="damaged", error_message="two packets are damaged")
    (row,) = run_local([guarded(tmp_path)], table_of(damaged)).to_pylist()
    assert row["error_code"] == "damaged"
    assert row["error_message"] == "two packets are damaged; fragile failed with RuntimeError: it broke"
    assert row["attempts"] == 1


def test_a_lost_window_of_sound_is_not_taken_for_one_that_was_heard(tmp_path):
    """Decode says that there is no picture, and whoever listens takes that back."""
    sound = {"media": "audio", "error_code": "no_video", "error_message": "there is nothing to look at"}
    lost = run_local([guarded(tmp_path)], table_of(window(1, value=Poison.RAISE, **sound)))
    (row,) = run_local([Heard()], lost).to_pylist()
    assert (row["error_code"], row["error_message"]) == ("model_failed", "fragile failed with RuntimeError: it broke")


def test_what_an_earlier_pool_counted_is_added_to(tmp_path):
    (row,) = run_local([guarded(tmp_path)], table_of(window(1, value=Poison.RAISE, attempts=3))).to_pylist()
    assert row["attempts"] == 4


def test_a_lost_window_is_committed_like_any_other(tmp_path):
    stages = [guarded(tmp_path / "attempts"), Commit.of(("signals",), str(tmp_path / "features"), 0.1)]
    receipts = run_local(stages, block(Poison.RAISE))
    assert receipts.num_rows == 5
    pieces = Pieces(tmp_path / "features")
    assert len(pieces.contents) == 3
    assert {content.error_code for content in pieces.contents.values()} == {None, "model_failed"}
    assert pieces.rows("signals", pieces.contents).num_rows == 4 * 2


def test_a_full_disk_is_no_windows_fault(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        run_local([guarded(tmp_path)], block(Poison.FULL))
    assert list(tmp_path.iterdir()) == []


def test_who_stops_the_job_leaves_no_death_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_local([guarded(tmp_path)], block(Poison.QUIT))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stall_seconds", [0, -1.0, float("nan")])
def test_a_guard_that_never_waits_is_refused(tmp_path, stall_seconds):
    with pytest.raises(NightjarError, match="stall_seconds"):
        guarded(tmp_path, stall_seconds=stall_seconds)


# In processes that die

ONE_TRY = """
import sys
import pyarrow as pa
from pipelines.stage import run_local
from tests.pipelines.test_guard import block, guarded
from tests.fakes import Poison

folder, tokens, stall_seconds, out, *poisons = sys.argv[1:]
stage = guarded(folder, tokens, float(stall_seconds), gpus=0.5)
found = run_local([stage], block(*[Poison(int(value)) for value in poisons]))
with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, found.schema) as file:
    file.write_table(found)
"""


LOST_GPU = """
import sys
from types import SimpleNamespace

def synchronize():
    raise RuntimeError("CUDA error: device-side assert triggered\\nmore")

cuda = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: False, synchronize=synchronize)
sys.modules["torch"] = SimpleNamespace(cuda=cuda, OutOfMemoryError=MemoryError)
"""


def tried(tmp_path, *poisons, stall_seconds=30.0, most=12, before=""):
    """Run one block in one process after another, as Ray does, until one lives; returns its rows, and the deaths."""
    (tmp_path / "tokens").mkdir(exist_ok=True)
    out = tmp_path / "out.arrow"
    places = [str(tmp_path / "attempts"), str(tmp_path / "tokens"), str(stall_seconds), str(out)]
    command = [sys.executable, "-c", before + ONE_TRY, *places, *[str(poison.value) for poison in poisons]]
    for deaths in range(most):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            with pa.OSFile(str(out)) as source, pa.ipc.open_file(source) as file:
                return file.read_all(), deaths
        assert done.returncode < 0 or "Traceback" not in done.stderr, done.stderr[-2000:]
    raise AssertionError(f"the block still kills its process after {most} times")


@pytest.mark.parametrize(
    ("poison", "code", "message", "attempts"),
    [
        (Poison.ABORT, "model_crashed", "fragile crashed its worker 2 times: Aborted", 2),
        (Poison.SEGFAULT, "model_crashed", "fragile crashed its worker 2 times: Segmentation fault", 2),
        (Poison.HANG, "model_timeout", "fragile came to no end, 2 times: Timeout (0:00:02)!", 2),
        (Poison.SPIN, "model_timeout", "fragile came to no end, 2 times: Timeout (0:00:02)!", 2),
        (
            Poison.KILL,
            "model_crashed",
            "the worker was killed from outside 5 times, at last in fragile; it may need more memory",
            KILLS,
        ),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Poison) else "",
)
def test_a_window_that_ends_its_process_is_given_up(tmp_path, poison, code, message, attempts):
    stall_seconds = 2.0 if code == "model_timeout" else 30.0
    found, deaths = tried(tmp_path, poison, stall_seconds=stall_seconds)
    assert deaths == 1 + attempts  # once in company
    assert ends_of(found) == {code: (message, attempts)}
    assert clean_of(found, block()) == unharmed(block())


def test_a_window_that_was_only_unlucky_is_worked_on(tmp_path):
    """Killed in company and alone, and then never again."""
    found, deaths = tried(tmp_path, Poison.KILL_TWICE)
    assert deaths == 2
    assert ends_of(found) == {}
    counts = [row["attempts"] for row in found.to_pylist()]
    assert counts == [None, None, None, 1, None]
    assert all(row["signals"] for row in found.to_pylist())


def test_two_that_harm_in_one_block_are_both_found(tmp_path):
    found, deaths = tried(tmp_path, Poison.ABORT, Poison.RAISE, Poison.SEGFAULT)
    assert deaths == 5
    messages = [row["error_message"] for row in found.to_pylist() if row["error_code"]]
    assert [message.partition(": ")[2] for message in messages] == ["Aborted", "it broke", "Segmentation fault"]
    assert clean_of(found, block()) == unharmed(block())


def test_a_gpu_that_one_window_has_lost_is_not_lost_for_the_others(tmp_path):
    """After a failed assertion on the device every call of the process fails: it has to end."""
    found, deaths = tried(tmp_path, Poison.RAISE, before=LOST_GPU)
    assert deaths == 3
    message = "fragile crashed its worker 2 times: CUDA error: device-side assert triggered"
    assert ends_of(found) == {"model_crashed": (message, 2)}
    assert clean_of(found, block()) == unharmed(block())


def test_a_journal_that_is_cleared_gives_a_window_another_chance(tmp_path):
    tried(tmp_path, Poison.ABORT)
    assert list((tmp_path / "attempts").iterdir())
    Attempts(tmp_path / "attempts").clear()
    assert not list((tmp_path / "attempts").iterdir())
    assert tried(tmp_path, Poison.ABORT)[1] == 3


# On Ray


def by_engines(stage, *blocks):
    return pa.concat_tables(stream([stage], pa.concat_tables(blocks), 5), promote_options="default")


@pytest.fixture(params=["ray", "engines"])
def worked(request):
    """Each way of running a stage in processes that may die."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return on_ray
    return by_engines


def test_each_poison_costs_its_own_window(worked, tmp_path):
    blocks = [block(first=0), block(Poison.ABORT, first=2), block(Poison.HANG, Poison.NAN, first=4)]
    found = worked(guarded(tmp_path, stall_seconds=3.0), *blocks)
    assert {code: attempts for code, (_, attempts) in ends_of(found).items()} == {
        ErrorCode.MODEL_CRASHED: 2,
        ErrorCode.MODEL_TIMEOUT: 2,
        ErrorCode.MODEL_FAILED: 1,
    }
    assert found.num_rows == sum(one.num_rows for one in blocks)
    assert clean_of(found, *blocks) == unharmed(*blocks)


def test_a_few_kills_from_outside_cost_nothing(worked, tmp_path):
    (tmp_path / "tokens").mkdir()
    blocks = [block(first=0), block(Poison.KILL_TWICE, first=2)]
    found = worked(guarded(tmp_path / "attempts", tmp_path / "tokens"), *blocks)
    assert ends_of(found) == {}
    assert found.num_rows == 9
    assert len(list((tmp_path / "tokens").iterdir())) == 2


# Real models


def test_real_models_find_alone_what_they_find_in_company(lite, tmp_path):
    """A suspect is a slice of its block: a row of Arrow's memory that does not begin at 0."""
    film = write_film(tmp_path / "film.mp4", seconds=65.0, fps=1, size=(320, 180), tone=Tone(65.0))
    contents = run_local([Hash(limits=Limits())], pa.table({"video_id": ["film"], "uri": [str(film)]}))
    decode, models, _ = nightly_stages(lite, Sampling(interval_ms=5000), Limits(), Machines(), str(tmp_path))
    windows = run_local([decode], contents.select(["content_sha256", "uri", "bytes"])).combine_chunks()
    work = models.open()
    company = pa.concat_tables(work(windows))
    keys = list(zip(*(windows[name].to_pylist() for name in ("content_sha256", "window_index")), strict=True))
    leave_death(tmp_path / "attempts", keys)
    alone = pa.concat_tables(work(windows))
    assert windows.num_rows == 3
    assert [bool(busy) for busy in alone["busy"].to_pylist()] == [True] * 3
    assert [bool(busy) for busy in company["busy"].to_pylist()] == [True, False, False]
    exact = ["window_index", "frame_ms", "error_code", "attempts", "peaks", "stills", "said", "shown", "voices"]
    assert alone.select(exact).equals(company.select(exact))
    for one, other in zip(alone["views"].to_pylist(), company["views"].to_pylist(), strict=True):
        vectors = [np.array([view["embedding"] for view in views], np.float32) for views in (one, other)]
        np.testing.assert_allclose(*vectors, rtol=2e-3, atol=2e-3)  # float16


def leave_death(folder, windows):
    folder.mkdir(parents=True, exist_ok=True)
    marker = Marker(tuple(windows), socket.gethostname(), 0, "1", 1.0, str(folder / "none"))
    (folder / "many.0.json").write_text(marker.to_text())
