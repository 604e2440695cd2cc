"""One upload against a bank in memory: what the night finds, at once, and of the newest version when asked for."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import pytest

from pipelines.copyright import indexed as indices
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Kind, Reference, State, parse_licences
from pipelines.copyright.claimed import claimed
from pipelines.copyright.matched import MATCHES, Matched
from pipelines.copyright.night import Machine, match_night
from pipelines.copyright.online import OnlineBank
from pipelines.copyright.picture.ann import AnnIndex
from pipelines.copyright.picture.pdq import GOOD, HashIndex
from pipelines.copyright.picture.space import Space
from pipelines.pieces import Pieces, write_piece
from tests.pipelines.copyright.drawn import WIDE, as_window, fingerprint, footage, plain_space, tune, with_stills
from tests.windows import looked_at

SECONDS = 40
FILMS = {f"film{n}": with_stills(fingerprint(footage(n, SECONDS), peaks=tune(n, SECONDS))) for n in range(4)}
MANY = FILMS | {f"other{n}": fingerprint(footage(6, 40)[30 + 2 * n : 32 + 2 * n]) for n in range(4)}
UPLOADS = {
    "copy": fingerprint(footage(1, SECONDS)[10:30]),
    "mixed": fingerprint(np.concatenate([footage(2, SECONDS)[:15], footage(3, SECONDS)[20:35]])),
    "heard": fingerprint(footage(6, 20), peaks=tune(0, SECONDS).between(0, 20_000)),
    "both": fingerprint(footage(0, SECONDS), peaks=tune(0, SECONDS)),
    "own": fingerprint(footage(7, 20)),
    "trailer": fingerprint(footage(5, 20)),
    "withdrawn": fingerprint(footage(4, 20)),
    "dark": fingerprint(footage(7, 0)),
}
UPLOADS = {name: with_stills(print_) for name, print_ in UPLOADS.items()}


def sha(name: str) -> str:
    return f"{name:x>64}"


def reference(name, print_, kind=Kind.FILM, **said) -> Reference:
    return Reference(id=name, content_sha256=sha(name), kind=kind, duration_ms=print_.duration_ms, **said)


def bank_in(folder, space: Space | None = None, films=FILMS) -> Bank:
    bank = Bank.create(folder, space or plain_space())
    bank.add_all([(reference(name, print_, title=name), print_) for name, print_ in films.items()])
    return bank


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four films with sound and pictures, a negative one, and one that is disabled."""
    bank = bank_in(tmp_path_factory.mktemp("banks") / "bank")
    logo, gone = fingerprint(footage(5, 20)), fingerprint(footage(4, 20))
    bank.add_all([(reference("logo", logo, Kind.NEGATIVE), logo), (reference("gone", gone), gone)])
    bank.set_state(["gone"], State.DISABLED, "asked for")
    return bank.folder


@pytest.fixture(scope="module")
def bank(folder):
    return OnlineBank.open(folder)


def pieces_of(folder, uploads) -> Pieces:
    write_piece(folder, looked_at(*[as_window(name, print_) for name, print_ in uploads.items()]))
    return Pieces(folder)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return pieces_of(tmp_path_factory.mktemp("features"), UPLOADS)


def asked(bank, pieces, name):
    rows = [pieces.rows(kind, [name]) for kind in ("views", "peaks", "stills")]
    return bank.match(*rows, pieces.contents[name].duration_ms)


def rows_of(matched) -> list[dict]:
    return sorted(
        matched.table().to_pylist(), key=lambda row: (row["content_sha256"], row["claim"] or 0, row["form"] or "")
    )


def references_of(matched) -> list[str | None]:
    return [row["reference_id"] for row in rows_of(matched)]


def by_night(folder, pieces, to) -> Matched:
    reader, kept = BankReader.open(folder), Matched(to)
    references = reader.references()
    match_night(reader, references, pieces, pieces.contents, kept, Machine(), lambda *_: None)
    kept.keep_facts(references)
    return kept


class TestAsAtNight:
    @pytest.fixture(scope="class")
    def night(self, folder, pieces, tmp_path_factory):
        return by_night(folder, pieces, tmp_path_factory.mktemp("night") / "v1")

    @pytest.mark.parametrize("name", [name for name in UPLOADS if name != "dark"])
    def test_the_rows_are_the_nights(self, bank, pieces, night, name):
        """To the last digit: a bank this small is compared with whole, and by the same arithmetic."""
        assert rows_of(asked(bank, pieces, name)) == [row for row in rows_of(night) if row["content_sha256"] == name]

    @pytest.mark.parametrize("name", [name for name in UPLOADS if name != "dark"])
    def test_the_claims_are_the_nights(self, bank, pieces, night, name):
        found = claimed(asked(bank, pieces, name), "US", date(2026, 1, 1))
        wanted = {key: value for key, value in claimed(night, "US", date(2026, 1, 1)).items() if key == name}
        plain = lambda claims: {key: [replace(one, source="") for one in own] for key, own in claims.items()}  # noqa: E731

        assert plain(found) == plain(wanted)

    def test_what_is_found_of_each(self, bank, pieces):
        found = {name: {row["reference_id"] for row in rows_of(asked(bank, pieces, name))} for name in UPLOADS}

        assert found == {
            "copy": {"film1"},
            "mixed": {"film2", "film3"},
            "heard": {"film0"},
            "both": {"film0"},
            "own": {None},
            "trailer": {None},
            "withdrawn": {None},
            "dark": set(),
        }

    def test_a_reviewer_sees_the_reference_near_the_middle_of_the_span(self, bank, pieces):
        copy = rows_of(asked(bank, pieces, "copy"))[0]

        assert copy["verified"] == "verified"
        assert copy["ref_picture"] == copy["picture"]


class TestFound:
    def test_it_names_the_bank_and_its_version(self, bank, folder, pieces):
        version = BankReader.open(folder).version
        found = asked(bank, pieces, "copy")

        assert found.source == bank.source == f"bank@{version}"
        assert [claim.source for claim in claimed(found, "US", date(2026, 1, 1))["copy"]] == [f"bank@{version}"]

    def test_facts_are_those_of_what_matched(self, bank, pieces):
        assert asked(bank, pieces, "mixed").facts()["reference_id"].to_pylist() == ["film2", "film3"]
        assert asked(bank, pieces, "own").facts().num_rows == 0

    def test_some_columns(self, bank, pieces):
        assert asked(bank, pieces, "copy").table(["reference_id"]).column_names == ["reference_id"]
        assert asked(bank, pieces, "copy").done() == {"copy"}


class TestEmpty:
    def test_a_bank_without_references_answers(self, tmp_path, pieces):
        bank = OnlineBank.open(Bank.create(tmp_path / "bank", plain_space()).folder)

        assert (len(bank), bank.nbytes < 1 << 20) == (0, True)
        assert asked(bank, pieces, "copy").table().schema == MATCHES
        assert asked(bank, pieces, "copy").table().num_rows == 0

    def test_a_bank_of_music_alone(self, tmp_path, pieces):
        song = fingerprint(footage(0, 0), peaks=tune(0, SECONDS), duration_ms=1000 * SECONDS)
        bank = OnlineBank.open(bank_in(tmp_path / "bank", films={"song": song}).folder)

        assert [row["form"] for row in rows_of(asked(bank, pieces, "heard"))] == ["Audio"]
        assert [row["reference_id"] for row in rows_of(asked(bank, pieces, "copy"))] == [None]

    def test_nothing_seen_and_nothing_heard(self, bank, pieces):
        assert asked(bank, pieces, "dark").table().num_rows == 0


class TestReload:
    def test_a_reference_that_comes_and_goes(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank")
        first = OnlineBank.open(written.folder)
        assert not first.changed()

        written.set_state(["film1"], State.DISABLED, "asked for")
        assert first.changed()
        assert [row["reference_id"] for row in rows_of(asked(first, pieces, "copy"))] == ["film1"]

        second = OnlineBank.open(written.folder)
        assert not second.changed()
        assert second.source != first.source
        assert [row["reference_id"] for row in rows_of(asked(second, pieces, "copy"))] == [None]

    def test_what_came_is_indexed_beside_what_is_there(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank", films=MANY)
        first = OnlineBank.open(written.folder)
        written.add(reference("late", UPLOADS["own"]), UPLOADS["own"])
        second = first.refreshed()
        third = second.refreshed()

        assert second._parts[0].shard is first._parts[0].shard
        assert [len(part.keys) for part in second._parts] == [len(MANY), 1]
        assert [len(bank) for bank in (first, second)] == [len(MANY), len(MANY) + 1]
        assert third is second
        assert references_of(asked(first, pieces, "own")) == [None]
        assert references_of(asked(second, pieces, "own")) == ["late"]
        assert references_of(asked(second, pieces, "copy")) == ["film1"]

    def test_what_is_disabled_is_passed_over_and_comes_back(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank", films=MANY)
        first = OnlineBank.open(written.folder)
        written.set_state(["film0"], State.DISABLED, "asked for")
        second = first.refreshed()
        written.set_state(["film0"], State.ACTIVE)
        third = second.refreshed()
        banks = (first, second, third)

        assert len({bank._parts[0].shard for bank in banks}) == 1
        assert [references_of(asked(bank, pieces, "heard")) for bank in banks] == [["film0"], [None], ["film0"]]
        assert [references_of(asked(bank, pieces, "both")) for bank in banks] == [["film0"] * 2, [None], ["film0"] * 2]

    def test_where_much_has_changed_the_index_is_made_anew(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank", films=MANY)
        first = OnlineBank.open(written.folder)
        written.set_state(["film0", "film1"], State.DISABLED, "asked for")
        second = first.refreshed()

        assert second._parts[0].shard is not first._parts[0].shard
        assert [len(part.keys) for part in second._parts] == [len(MANY) - 2]
        assert references_of(asked(second, pieces, "mixed")) == ["film2", "film3"]

    def test_a_fingerprint_that_was_replaced_is_read_again(self, tmp_path, pieces):
        """The same content described anew, by a finer sampling say."""
        written = bank_in(tmp_path / "bank", films=MANY)
        first = OnlineBank.open(written.folder)
        written.remove(["film1"])
        written.add(reference("film1", UPLOADS["own"]), UPLOADS["own"])
        second = first.refreshed()

        assert references_of(asked(second, pieces, "copy")) == [None]

    def test_a_bank_that_began_empty(self, tmp_path, pieces):
        written = Bank.create(tmp_path / "bank", plain_space())
        first = OnlineBank.open(written.folder)
        written.add(reference("film1", FILMS["film1"]), FILMS["film1"])

        assert references_of(asked(first.refreshed(), pieces, "copy")) == ["film1"]

    def test_a_negative_reference_that_comes(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank")
        written.add(reference("own-logo", UPLOADS["copy"], Kind.NEGATIVE), UPLOADS["copy"])

        assert [row["reference_id"] for row in rows_of(asked(OnlineBank.open(written.folder), pieces, "copy"))] == [
            None
        ]

    def test_a_licence_that_comes_is_another_version(self, tmp_path, pieces):
        written = bank_in(tmp_path / "bank")
        first = OnlineBank.open(written.folder)
        known = written.with_ids(["film1"])["film1"]
        written.update([replace(known, licences=parse_licences("US:2025-01-01.."))])
        again = OnlineBank.open(written.folder)
        licensed = [
            claimed(asked(bank, pieces, "copy"), "US", date(2026, 1, 1))["copy"][0].licensed for bank in (first, again)
        ]

        assert (first.changed(), licensed) == (True, [False, True])

    def test_a_bank_whose_folder_is_gone_goes_on_answering_without_pictures(self, tmp_path, pieces, caplog):
        written = bank_in(tmp_path / "bank")
        bank = OnlineBank.open(written.folder)
        shutil.rmtree(written.folder)
        (row,) = rows_of(asked(bank, pieces, "copy"))

        assert (row["reference_id"], row["ref_picture"]) == ("film1", None)
        assert not bank.changed()
        assert "the picture of reference film1 cannot be read" in caplog.text
        assert "cannot be looked at" in caplog.text


def test_a_call_keeps_to_its_threads(folder, pieces):
    """Whoever searches sets them for the thread it is on, and for no other."""
    import faiss

    def threads_after(count):
        asked(OnlineBank.open(folder, threads=count), pieces, "copy")
        return faiss.omp_get_max_threads()

    with ThreadPoolExecutor(1) as pool:
        assert [pool.submit(threads_after, count).result() for count in (1, 3)] == [1, 3]


def test_hashes_that_say_nothing_are_left_out_without_shifting_the_others(tmp_path, pieces):
    """The first film has none; what the others' hashes find still names the others."""
    noise = np.random.default_rng(5).standard_normal((SECONDS, WIDE)).astype(np.float32)
    first = fingerprint(footage(0, SECONDS), quality=GOOD - 1)
    bank = OnlineBank.open(bank_in(tmp_path / "bank", films={"film0": first, "film1": FILMS["film1"]}).folder)
    by_hash = replace(UPLOADS["copy"], descriptors_ND=noise[:20].astype(np.float16))

    assert references_of(bank.match_print("x", by_hash.within(bank.space))) == ["film1"]


def test_many_at_once(bank, pieces):
    """Every thread has its own answer."""
    names = [name for name in UPLOADS if name != "dark"] * 4
    alone = {name: rows_of(asked(bank, pieces, name)) for name in UPLOADS}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda name: rows_of(asked(bank, pieces, name)), names)) == [alone[name] for name in names]


def films(seed: int, count: int, seconds: int) -> dict[str, np.ndarray]:
    """Films of frames, [T, WIDE] of unit length; neighbours are half alike."""
    steps = np.random.default_rng(seed).standard_normal((count, seconds, WIDE)).astype(np.float32)
    for second in range(1, seconds):
        steps[:, second] = 0.5 * steps[:, second - 1] + 0.87 * steps[:, second]
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    return {f"{number}": frames for number, frames in enumerate(steps)}


class TestIndexed:
    """A bank too large to be compared with whole, or so it is told."""

    SAMPLE_MS = 1000

    @pytest.fixture(scope="class")
    def large(self, tmp_path_factory):
        made = films(1, 40, 150)
        folder = tmp_path_factory.mktemp("large") / "bank"
        bank_in(folder, films={name: fingerprint(frames) for name, frames in made.items()})
        return folder, made

    @pytest.fixture(scope="class")
    def copies(self, large, tmp_path_factory):
        """Twenty seconds of each film, changed so that no hash is left, behind ten of nobody's."""
        generator = np.random.default_rng(2)
        uploads = {}
        for name, frames in [*large[1].items()][::3]:
            noise = generator.standard_normal((20, WIDE)).astype(np.float32)
            changed = frames[60:80] + 0.6 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            before = np.concatenate([generator.standard_normal((10, WIDE)).astype(np.float32), changed])
            uploads[name] = fingerprint(before / np.linalg.norm(before, axis=1, keepdims=True))
        return pieces_of(tmp_path_factory.mktemp("copies"), uploads)

    @pytest.fixture
    def indexed(self, large, monkeypatch):
        built = []

        def small(index, bank_ND):
            built.append(index(bank_ND, flat_rows=1000))
            return built[-1]

        monkeypatch.setattr(indices, "AnnIndex", partial(small, AnnIndex))
        monkeypatch.setattr(indices, "HashIndex", partial(small, HashIndex))
        bank = OnlineBank.open(large[0])
        assert [index._cells > 0 for index in built] == [True, True]
        return bank

    def test_spans_are_the_nights_to_within_a_sample(self, large, copies, indexed, tmp_path):
        wanted, found = by_night(large[0], copies, tmp_path / "v1"), {}
        times = ("start_ms", "end_ms", "ref_start_ms", "ref_end_ms")
        for name in copies.contents:
            best = max(rows_of(asked(indexed, copies, name)), key=lambda row: row["claim_score"] or 0)
            found[name] = [best["reference_id"], *(best[time] for time in times)]
        of_night = {
            row["content_sha256"]: [row["reference_id"], *(row[time] for time in times)]
            for row in sorted(rows_of(wanted), key=lambda row: row["claim_score"] or 0)
        }

        assert [found[name][0] for name in found] == [of_night[name][0] for name in found] == [*found]
        for name in found:
            assert found[name][1:] == pytest.approx(of_night[name][1:], abs=self.SAMPLE_MS)
            assert found[name][3:] == pytest.approx([60_000, 80_000], abs=1500)

    def test_memory_is_what_is_said(self, indexed):
        rows = 40 * 150
        per_row = 2 * WIDE + 8 + 32 + 8 + 8 + 8 + 8  # descriptor, hash, their row numbers, owner, time, place

        assert rows * per_row < indexed.nbytes < 1.3 * rows * per_row + 300 * 4 * WIDE
