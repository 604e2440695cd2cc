"""The bank: what is added comes back whole, a change takes effect at once, and no kill leaves half a reference."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lance
import numpy as np
import pytest

from model_registry.errors import NightjarError, UsageError
from pipelines.copyright.bank import reader as bank_reader
from pipelines.copyright.bank import tables as bank_tables
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.folder import CARD, FINGERPRINTS, REFERENCES
from pipelines.copyright.bank.reference import Kind, State, parse_licences
from tests.pipelines.copyright.bank_writer import fingerprint, reference, sha_of, space

KILLS = {"add": 16, "compact": 16, "create": 10}
LONGEST_S = 0.2  # from the first word of a writer to its end


@pytest.fixture
def bank(tmp_path) -> Bank:
    return Bank.create(tmp_path / "bank", space())


def fill(bank: Bank, *numbers: int) -> None:
    bank.add_all([(reference(i), fingerprint(i)) for i in numbers])


def ids(bank: Bank, **wanted) -> list[str]:
    return [ref.id for ref in bank.references(**wanted)]


def assert_same(found, wanted) -> None:
    assert found.duration_ms == wanted.duration_ms
    for name in ("frame_ms", "view", "descriptors_ND", "pdq_NB", "pdq_quality"):
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
    assert np.array_equal(found.peaks.time_ms, wanted.peaks.time_ms)
    assert np.array_equal(found.peaks.pitch, wanted.peaks.pitch)


def assert_whole(folder: Path) -> Bank:
    """Every reference is what was to be written, with its whole fingerprint, once."""
    bank = Bank.open(folder)
    found = bank.references()
    assert len({ref.id for ref in found}) == len({ref.content_sha256 for ref in found}) == len(found)
    back = dict(bank.fingerprints([ref.content_sha256 for ref in found]))
    for ref in found:
        number = int(ref.id[1:])
        assert ref.content_sha256 == sha_of(number)
        assert (ref.title, ref.licences, ref.kind) == (
            f"Title {number}",
            reference(number).licences,
            reference(number).kind,
        )
        assert_same(back[ref.content_sha256], fingerprint(number))
    return bank


class TestAdd:
    def test_what_goes_in_comes_back(self, bank):
        fill(bank, *range(12))  # among them those without frames and without peaks

        opened = assert_whole(bank.folder)
        assert len(ids(opened)) == 12
        ref = opened.references()[1]
        assert ref.added_at == ref.changed_at
        assert datetime.now(UTC) - timedelta(minutes=1) < ref.added_at <= datetime.now(UTC)

    def test_again_changes_nothing(self, bank):
        fill(bank, 1, 2)
        version = bank.version

        assert bank.add(reference(1, title="Another"), fingerprint(1)) is False
        assert bank.version == version
        assert bank.references()[0].title == "Title 1"

    def test_the_same_content_under_another_id(self, bank):
        fill(bank, 1)

        with pytest.raises(UsageError, match="the content of 'copy' is that of 'r1'"):
            bank.add(replace(reference(1), id="copy"), fingerprint(1))
        assert ids(bank) == ["r1"]

    def test_another_content_under_the_same_id(self, bank):
        fill(bank, 1)

        with pytest.raises(UsageError, match="'r1' is in the bank with another content"):
            bank.add(replace(reference(2), id="r1"), fingerprint(2))
        assert bank.references()[0].content_sha256 == sha_of(1)

    def test_all_or_none(self, bank):
        fill(bank, 1)

        with pytest.raises(UsageError):
            bank.add_all([(reference(3), fingerprint(3)), (replace(reference(2), id="r1"), fingerprint(2))])
        assert ids(bank) == ["r1"]

    def test_two_of_one_call_clash_too(self, bank):
        with pytest.raises(UsageError, match="'twin' is that of 'r1'"):
            bank.add_all([(reference(1), fingerprint(1)), (replace(reference(1), id="twin"), fingerprint(1))])
        assert ids(bank) == []

    def test_descriptors_of_another_length_are_a_bug(self, bank):
        with pytest.raises(ValueError, match=r"r1: descriptors of \(5,\), the bank's have 4"):
            bank.add(reference(1), replace(fingerprint(1), descriptors_ND=np.zeros((2, 5), np.float16)))

    def test_names_with_quotes(self, bank):
        bank.add(replace(reference(1), id='l\'été "x" %_', title="it's"), fingerprint(1))

        assert bank.set_state(['l\'été "x" %_'], State.DISABLED) == ['l\'été "x" %_']
        bank.remove(['l\'été "x" %_'])
        assert ids(Bank.open(bank.folder)) == []


class TestChange:
    def test_disable_and_enable(self, bank):
        fill(bank, 1, 2, 3)
        reader = Bank.open(bank.folder)
        before = reader.version

        assert bank.set_state(["r2"], State.DISABLED, "under review") == ["r2"]
        assert ids(reader, state=State.ACTIVE) == ["r1", "r2", "r3"]  # what it opened
        reader.refresh()
        assert ids(reader, state=State.ACTIVE) == ["r1", "r3"]
        assert reader.references(State.DISABLED)[0].reason == "under review"
        assert reader.version != before
        assert_same(reader.fingerprint(sha_of(2)), fingerprint(2))

        assert bank.set_state(["r2", "r1"], State.ACTIVE) == ["r2"]
        assert bank.with_ids(["r2"])["r2"].reason is None

    def test_trust_stays_until_told_otherwise(self, bank):
        fill(bank, 1)

        bank.set_state(["r1"], State.ACTIVE, trusted=True)
        bank.set_state(["r1"], State.DISABLED)
        assert bank.references()[0].trusted
        bank.set_state(["r1"], State.ACTIVE, trusted=False)
        assert not bank.references()[0].trusted

    def test_since(self, bank):
        fill(bank, 1, 2)
        time.sleep(0.01)
        moment = datetime.now(UTC)
        assert ids(bank, changed_since=moment) == []

        bank.set_state(["r1"], State.DISABLED)
        fill(bank, 3)
        assert ids(bank, changed_since=moment) == ["r1", "r3"]
        assert ids(bank, changed_since=moment, state=State.ACTIVE) == ["r3"]

    def test_metadata_without_a_second_decode(self, bank):
        fill(bank, 1, 2)
        bank.set_state(["r1"], State.DISABLED, "why")
        said = replace(reference(1), owner="Studio", kind=Kind.NEGATIVE, licences=parse_licences("JP"), complete=False)

        assert bank.update([said, bank.with_ids(["r2"])["r2"]]) == ["r1"]
        found = Bank.open(bank.folder).references()[0]
        assert (found.owner, found.kind, found.licences) == ("Studio", Kind.NEGATIVE, parse_licences("JP"))
        assert (found.state, found.reason, found.complete) == (State.DISABLED, "why", True)

    def test_remove(self, bank):
        fill(bank, *range(6))
        bank.remove(["r1", "r4"])

        assert ids(assert_whole(bank.folder)) == ["r0", "r2", "r3", "r5"]
        with pytest.raises(NightjarError, match=f"no fingerprint of {sha_of(1)}"):
            bank.fingerprint(sha_of(1))
        fill(bank, 1)
        assert "r1" in ids(assert_whole(bank.folder))

    def test_a_reader_keeps_what_was_removed_meanwhile(self, bank):
        fill(bank, *range(3))
        reader = Bank.open(bank.folder)
        bank.remove(["r1"])

        assert ids(reader) == ["r0", "r1", "r2"]
        assert_same(reader.fingerprint(sha_of(1)), fingerprint(1))

    @pytest.mark.parametrize("change", [lambda b, x: b.remove(x), lambda b, x: b.set_state(x, State.DISABLED)])
    def test_unknown_ids_change_nothing(self, bank, change):
        fill(bank, *range(20))

        with pytest.raises(UsageError) as refusal:
            change(bank, ["r3", "r33", "zebra"])
        assert "has no reference 'r33', 'zebra'; near: r3, " in str(refusal.value)
        assert len(ids(bank, state=State.ACTIVE)) == 20

    def test_nothing_near(self, bank):
        fill(bank, 1)
        with pytest.raises(UsageError, match="no reference 'zebra'; it has 1 references"):
            bank.remove(["zebra"])


class TestRead:
    def test_known(self, bank):
        fill(bank, 1, 2)

        assert {sha: ref.id for sha, ref in bank.known([sha_of(2), sha_of(9)]).items()} == {sha_of(2): "r2"}
        assert bank.known([]) == {}

    @pytest.mark.parametrize("batch_bytes", [1, 2000, 1 << 20])
    def test_bounded_batches_hold_the_same(self, bank, monkeypatch, batch_bytes):
        fill(bank, *range(30))
        bank.remove(["r0", "r7", "r8"])
        monkeypatch.setattr(bank_reader, "BATCH_BYTES", batch_bytes)

        assert_whole(bank.folder)
        tables = list(bank.fingerprint_tables([sha_of(i) for i in range(10, 30)]))
        assert (len(tables) == 1) == (batch_bytes == 1 << 20)
        assert (len(tables) == 20) == (batch_bytes == 1)

    def test_stats(self, bank):
        fill(bank, *range(1, 6))
        bank.set_state(["r4"], State.DISABLED)
        bank.add(replace(reference(20), complete=False, kind=Kind.NEGATIVE), fingerprint(20))
        stats = bank.stats()

        assert stats.references == {
            "film": {"disabled": 1},
            "known_bad": {"active": 1},
            "music": {"active": 1},
            "negative": {"active": 1},
            "show": {"active": 2},
        }
        assert stats.hours == pytest.approx((1 + 2 + 3 + 4 + 5 + 20) / 3600)
        assert stats.incomplete == 1
        assert stats.frames == 2 * (1 + 2 + 3 + 4 + 5 + 6)
        assert stats.peaks == 1 + 2 + 3 + 4 + 5 + 9
        assert stats.bytes > 1000
        assert (stats.version, stats.space, stats.dimensions) == (bank.version, space().id, 4)

    def test_copies_that_part_ways_have_other_versions(self, bank, tmp_path):
        fill(bank, 1)
        shutil.copytree(bank.folder, tmp_path / "copy")
        copy = Bank.open(tmp_path / "copy")
        assert copy.version == bank.version

        fill(bank, 2)
        fill(copy, 3)
        assert copy.version != bank.version


class TestFolder:
    def test_another_tower(self, bank):
        with pytest.raises(UsageError, match="come from fake_tower@1 and these from fake_tower@2"):
            bank.space.demand("fake_tower@2")
        with pytest.raises(UsageError, match="come from fake_tower@1 and these from other@1"):
            Bank.create(bank.folder, space("other@1"))

    def test_create_opens_what_is_there(self, bank):
        fill(bank, 1)

        assert ids(Bank.create(bank.folder, space())) == ["r1"]

    @pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
    def test_no_bank(self, tmp_path, make):
        make(tmp_path / "there")

        with pytest.raises(UsageError, match=r"there is no bank: it has no bank.json"):
            Bank.open(tmp_path / "there")

    def test_a_foreign_folder_is_left_alone(self, tmp_path):
        (tmp_path / "holiday.mp4").write_bytes(b"x")

        with pytest.raises(UsageError, match=r"no bank and not empty: it has holiday.mp4"):
            Bank.create(tmp_path, space())
        assert [path.name for path in tmp_path.iterdir()] == ["holiday.mp4"]

    def test_a_file(self, tmp_path):
        (tmp_path / "bank").write_text("x")
        with pytest.raises(UsageError, match="cannot be made: File exists"):
            Bank.create(tmp_path / "bank", space())

    def test_a_lost_card_does_not_cost_the_bank(self, bank):
        fill(bank, 1)
        (bank.folder / CARD).unlink()

        with pytest.raises(UsageError, match=r"holds 1 references and no bank.json"):
            Bank.create(bank.folder, space())
        assert lance.dataset(bank.folder / REFERENCES).count_rows() == 1

    @pytest.mark.parametrize(
        ("name", "content", "complaint"),
        [
            (CARD, "{", "bank.json cannot be read"),
            (CARD, "[]", "has the format"),
            (CARD, '{"format": 1}', "has the format 1; this version of Nightjar reads 2; add its files to a new bank"),
            (CARD, '{"format": 2, "space": "x@1+0"}', "was made with the space x@1\\+0"),
            ("space.npz", "PK", "space.npz is not a descriptor space"),
        ],
    )
    def test_a_torn_file_is_one_sentence(self, bank, name, content, complaint):
        (bank.folder / name).write_text(content)

        with pytest.raises(NightjarError, match=complaint) as refusal:
            Bank.open(bank.folder)
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("name", [REFERENCES, FINGERPRINTS])
    def test_a_lost_table_is_one_sentence(self, bank, name):
        shutil.rmtree(bank.folder / name)

        with pytest.raises(NightjarError, match=f"{name} cannot be used: ") as refusal:
            Bank.open(bank.folder)
        assert "\n" not in str(refusal.value)
        assert ".rs:" not in str(refusal.value)

    def test_a_lost_data_file_is_one_sentence(self, bank):
        fill(bank, *range(3))
        shutil.rmtree(bank.folder / FINGERPRINTS / "data")

        with pytest.raises(NightjarError, match=f"{FINGERPRINTS} cannot be used: "):
            Bank.open(bank.folder).fingerprint(sha_of(1))


class TestUpkeep:
    def test_small_fragments_are_merged(self, bank, monkeypatch):
        monkeypatch.setattr(bank_tables, "MOST_FRAGMENTS", 8)
        for i in range(40):
            fill(bank, i)

        for name in (REFERENCES, FINGERPRINTS):
            assert len(lance.dataset(bank.folder / name).get_fragments()) <= 9
        assert len(ids(assert_whole(bank.folder))) == 40

    def test_large_ones_are_left_alone(self, bank, monkeypatch):
        monkeypatch.setattr(bank_tables, "MOST_FRAGMENTS", 2)
        monkeypatch.setattr(bank_tables, "LARGE_BYTES", 1)
        for i in range(5):
            fill(bank, i)

        assert len(lance.dataset(bank.folder / FINGERPRINTS).get_fragments()) == 5

    def test_a_reader_reads_on_while_all_is_merged(self, bank, monkeypatch):
        for i in range(10):
            fill(bank, i)
        reader = Bank.open(bank.folder)
        monkeypatch.setattr(bank_tables, "MOST_FRAGMENTS", 1)
        fill(bank, 10)

        assert len(list(reader.fingerprints([sha_of(i) for i in range(10)]))) == 10

    def test_a_fingerprint_without_its_reference_does_not_exist(self, bank, monkeypatch):
        fill(bank, 1)
        with monkeypatch.context() as patch:
            patch.setattr(Bank, "_write", _die)
            with pytest.raises(KeyboardInterrupt):
                fill(bank, 2)
        opened = Bank.open(bank.folder)
        assert lance.dataset(bank.folder / FINGERPRINTS).count_rows() == 2
        assert ids(opened) == ["r1"]
        assert opened.stats().peaks == 1

        assert opened.sweep() == 1
        assert opened.sweep() == 0
        assert lance.dataset(bank.folder / FINGERPRINTS).count_rows() == 1

    def test_and_is_written_anew(self, bank, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(Bank, "_write", _die)
            with pytest.raises(KeyboardInterrupt):
                bank.add(reference(5), fingerprint(6))
        fill(bank, 5)

        assert lance.dataset(bank.folder / FINGERPRINTS).count_rows() == 1
        assert_whole(bank.folder)

    def test_the_lance_lines_are_cut(self):
        with pytest.raises(NightjarError) as refusal, bank_tables.using(Path("t.lance")):
            raise OSError("Not found: x, /home/runner/work/lance/rust/a.rs:1:2, /home/runner/b.rs:3:4")
        assert str(refusal.value) == "t.lance cannot be used: Not found: x"


def _die(*_: object) -> None:
    raise KeyboardInterrupt


# Killed at random moments, many times.


@contextmanager
def writers() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.pipelines.copyright.bank_writer"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(30)


def start(process, what: str, number: int, folder: Path) -> int:
    process.stdin.write(f"{what} {number} {folder}\n")
    return int(process.stdout.readline())


def kill(process, child: int, after_s: float) -> None:
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    assert process.stdout.readline() == f"{-signal.SIGKILL}\n"


@pytest.mark.parametrize("what", ["add", "compact"])
def test_a_killed_writer_leaves_whole_references_and_a_repeat_completes(tmp_path, what):
    moments, folder = random.Random(what), tmp_path / "bank"
    lasting: set[int] = set()
    with writers() as process:
        for attempt in itertools.count():
            if (attempt >= KILLS[what] and len(lasting) > 4) or attempt == 8 * KILLS[what]:
                break  # a busy machine writes little before it is killed: it is tried more often
            first = 1000 * (attempt // 4)  # four attempts at the same
            kill(process, start(process, what, first, folder), moments.uniform(0, LONGEST_S))
            states = {int(ref.id[1:]): ref.state for ref in assert_whole(folder).references()}
            assert lasting <= set(states), "a reference was lost"
            lasting = {number for number in states if not is_removed_later(number)}
            for number in lasting & {number - 1 for number in states}:  # the writer went on after it
                assert (states[number] is State.DISABLED) == (number % 3 == 0)

    assert len(lasting) > 4, "the writers hardly wrote"
    bank = Bank.create(folder, space())
    fill(bank, *range(first, first + 8))
    bank.sweep()
    assert {f"r{i}" for i in range(first, first + 8)} <= set(ids(assert_whole(folder)))
    assert lance.dataset(folder / FINGERPRINTS).count_rows() == len(ids(bank))


def is_removed_later(number: int) -> bool:
    return number % 5 == 0


def test_a_killed_creation_is_no_bank_and_a_repeat_completes(tmp_path):
    moments, unfinished = random.Random("create"), 0
    with writers() as process:
        for attempt in range(KILLS["create"]):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            kill(process, start(process, "create", 0, folder), moments.uniform(0.005, LONGEST_S))
            for made in sorted(folder.iterdir(), key=lambda path: int(path.name))[-1:]:
                unfinished += not (made / CARD).exists()
                assert ids(Bank.create(made, space())) == []
                fill(Bank.open(made), 1)
                assert ids(assert_whole(made)) == ["r1"]

    assert unfinished, "no kill came during a creation"


def test_two_writers_and_a_reader_at_once(tmp_path):
    folder = tmp_path / "bank"
    with writers() as one, writers() as other, ThreadPoolExecutor(2) as pool:
        start(one, "some", 0, folder)
        start(other, "some", 6, folder)  # half of them the same
        ends = [pool.submit(process.stdout.readline) for process in (one, other)]
        reads = 0
        while not all(end.done() for end in ends):
            if (folder / CARD).exists():
                assert_whole(folder)
                reads += 1
        assert [end.result() for end in ends] == ["0\n", "0\n"]

    assert reads > 1
    assert len(ids(assert_whole(folder))) == 18
    assert lance.dataset(folder / FINGERPRINTS).count_rows() == 18


def test_the_card_says_when_it_was_made(bank):
    card = json.loads((bank.folder / CARD).read_text())
    assert datetime.fromisoformat(card["created_at"]).tzinfo is not None
