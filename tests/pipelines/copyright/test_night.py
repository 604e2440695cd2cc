"""A night against a bank on Ray: however many actors hold it the rows are the same, and nothing is done twice."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipelines.copyright import night
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.matched import MATCHES, Matched
from pipelines.copyright.night import Machine, match_night
from pipelines.copyright.verification.stills import NO_STILLS, Stills
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.evidence import SHOWN_SIDE, jpeg, shown_small
from pipelines.stage import PipelineError
from tests.pipelines.copyright.drawn import as_window, fingerprint, footage, picture, plain_space, tune, with_stills
from tests.pipelines.copyright.shards import DyingOnce, Failing
from tests.windows import looked_at

pytestmark = pytest.mark.usefixtures("ray_cluster")
SECONDS = 40
FILMS = {f"film{n}": with_stills(fingerprint(footage(n, SECONDS), peaks=tune(n, SECONDS))) for n in range(4)}
UPLOADS = {
    "copy": fingerprint(footage(1, SECONDS)[10:30]),
    "mixed": fingerprint(np.concatenate([footage(2, SECONDS)[:15], footage(3, SECONDS)[20:35]])),
    "heard": fingerprint(footage(6, 20), peaks=tune(0, SECONDS).between(0, 20_000)),
    "own": fingerprint(footage(7, 20)),
    "trailer": fingerprint(footage(5, 20)),
    "dark": fingerprint(footage(7, 0)),
}
UPLOADS = {name: with_stills(print_) for name, print_ in UPLOADS.items()}


def sha(name: str) -> str:
    return f"{name:x>64}"


def bank_in(folder, stills=True):
    """Four films with sound and pictures, a negative one, and one that is disabled."""
    bank = Bank.create(folder, plain_space())
    films = FILMS | {"logo": fingerprint(footage(5, 20)), "gone": fingerprint(footage(7, 20))}
    for name, print_ in films.items():
        kind = Kind.NEGATIVE if name == "logo" else Kind.FILM
        ref = Reference(id=name, content_sha256=sha(name), kind=kind, duration_ms=print_.duration_ms)
        bank.add(ref, print_ if stills else replace(print_, stills=NO_STILLS))
    bank.set_state(["gone"], State.DISABLED, "asked for")
    return BankReader.open(folder)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return bank_in(tmp_path_factory.mktemp("banks") / "bank")


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_piece(folder, looked_at(*[as_window(name, print_) for name, print_ in UPLOADS.items()]))
    return Pieces(folder)


def matched_with(bank, pieces, folder, contents=tuple(UPLOADS), actors=1):
    """Match, and return the rows and what was reported on the way."""
    told = []
    kept = Matched(folder)
    machine = Machine(actors=actors, cpus=0.5)
    match_night(bank, bank.references(), pieces, contents, kept, machine, lambda *count: told.append(count))
    return in_order(kept), told


def in_order(kept):
    """Each shard names the nearest of its own: faint hits differ, and with them the last digits of a line."""
    rows = kept.table().to_pylist()
    for row in rows:
        row |= {name: round(row[name], 3) for name in ("speed", "score", "claim_score") if row[name] is not None}
        row |= {name: round(row[name], -2) for name in ("ref_start_ms", "ref_end_ms") if row[name] is not None}
    return sorted(rows, key=lambda row: (row["content_sha256"], row["claim"] or 0, row["form"] or ""))


@pytest.fixture(scope="module")
def rows(bank, pieces, tmp_path_factory):
    return matched_with(bank, pieces, tmp_path_factory.mktemp("matched"))[0]


def in_short(rows):
    return [(row["content_sha256"], row["reference_id"], row["form"]) for row in rows]


class TestRows:
    def test_every_upload_has_a_row_and_every_copy_its_reference(self, rows):
        found = {(sha_, ref) for sha_, ref, _ in in_short(rows)}

        assert found == {
            ("copy", "film1"),
            ("mixed", "film2"),
            ("mixed", "film3"),
            ("heard", "film0"),
            ("own", None),
            ("trailer", None),
            ("dark", None),
        }

    def test_the_times_are_those_of_the_copy(self, rows):
        (copy,) = [row for row in rows if row["content_sha256"] == "copy"]

        assert (copy["form"], copy["start_ms"], copy["end_ms"]) == ("Image", 0, 19_500)
        assert (copy["ref_start_ms"], copy["ref_end_ms"]) == pytest.approx((10_000, 29_500), abs=5)
        assert copy["speed"] == pytest.approx(1)

    def test_it_was_verified_on_frames_that_a_reviewer_sees(self, rows):
        """All of two pictures that are the same agrees, and the points lie in both at the same place."""
        (copy,) = [row for row in rows if row["content_sha256"] == "copy"]

        assert copy["verified"] == "verified"
        assert copy["reason"] == "100% of the detail agrees"
        assert copy["picture"] == copy["ref_picture"]
        assert Image.open(io.BytesIO(copy["picture"])).size == (256, 256)
        assert len(copy["points"]) > 10
        assert all(abs(point["x"] - point["ref_x"]) < 0.01 for point in copy["points"])

    def test_the_sound_alone_is_found_too(self, rows):
        assert ("heard", "film0", "Audio") in in_short(rows)

    def test_claims_are_numbered_within_their_upload(self, rows):
        assert {row["claim"] for row in rows if row["content_sha256"] == "mixed"} == {0, 1}


@pytest.mark.parametrize("actors", [2, 3])
def test_more_actors_give_the_same_rows(bank, pieces, rows, tmp_path, actors):
    found, _ = matched_with(bank, pieces, tmp_path, actors=actors)

    assert found == rows


def test_no_more_actors_are_started_than_there_are_references(bank, pieces, tmp_path):
    """A thousand of half a CPU would never start on two."""
    one = [ref for ref in bank.references() if ref.id == "film1"]
    kept = Matched(tmp_path)
    match_night(bank, one, pieces, UPLOADS, kept, Machine(actors=1000, cpus=0.5), lambda *_: None)

    assert {row["reference_id"] for row in kept.table().to_pylist()} == {"film1", None}


def test_a_bank_without_pictures(pieces, rows, tmp_path):
    """What looks alike stays in doubt, whatever the descriptor says; what sounds alike is as sure as ever."""
    found, _ = matched_with(bank_in(tmp_path / "bank", stills=False), pieces, tmp_path / "m")

    assert {row["ref_picture"] for row in found} == {None}
    assert in_short(found) == in_short(rows)
    assert {row["verified"] for row in found if row["form"] == "Image"} == {"unseen"}
    assert {row["score"] for row in found if row["form"] == "Image"} == {0.6}
    assert {row["reason"] for row in found if row["form"] == "Image"} == {"no pictures were kept to verify it on"}
    heard, wanted = ([row["score"] for row in some if row["form"] == "Audio"] for some in (found, rows))
    assert heard == wanted


class TestNothingTwice:
    def test_a_second_call_starts_nothing(self, bank, pieces, tmp_path, monkeypatch):
        before, told = matched_with(bank, pieces, tmp_path)
        files = sorted(tmp_path.iterdir())
        monkeypatch.setattr(night, "_searched", lambda *_: pytest.fail("workers were started"))
        again, nothing = matched_with(bank, pieces, tmp_path)

        assert told == [(6, 3)]
        assert nothing == []
        assert (again, sorted(tmp_path.iterdir())) == (before, files)

    def test_batches_that_are_there_stay_and_the_rest_is_added(self, bank, pieces, rows, tmp_path, monkeypatch):
        _, told = matched_with(bank, pieces, tmp_path, ["own", "copy"])
        monkeypatch.setattr(night, "UPLOADS", 1)
        found, added = matched_with(bank, pieces, tmp_path)

        assert told == [(2, 1)]
        assert [looked for looked, _ in added] == [1] * 4
        assert found == rows
        assert len(list(tmp_path.glob("matches-*"))) == 5

    def test_contents_that_nobody_looked_at_are_left_out(self, bank, pieces, tmp_path):
        found, told = matched_with(bank, pieces, tmp_path, ["own", "never seen"])

        assert in_short(found) == [("own", None, None)]
        assert told == [(1, 0)]

    def test_no_contents(self, bank, pieces, tmp_path):
        assert matched_with(bank, pieces, tmp_path, []) == ([], [])
        assert Matched(tmp_path).table().schema == MATCHES


def test_an_actor_that_dies_is_started_again(pieces, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(night, "ShardActor", DyingOnce)
    found, _ = matched_with(bank_in(tmp_path / "bank"), pieces, tmp_path / "m")

    assert (tmp_path / "died").exists()
    assert found == rows


def test_a_shard_that_fails_is_one_error_and_what_was_written_stays(bank, pieces, tmp_path, monkeypatch):
    matched_with(bank, pieces, tmp_path, ["copy"])
    monkeypatch.setattr(night, "ShardActor", Failing)

    with pytest.raises(PipelineError, match=r"^matching with bank .*bank failed: .*the shard fails") as failure:
        matched_with(bank, pieces, tmp_path)
    assert "\n" not in str(failure.value)
    assert Matched(tmp_path).done() == {"copy"}


def test_the_picture_nearest_in_time():
    zero, two = (jpeg(picture(seed, 480, 320)) for seed in (0, 2))

    class Bank:
        def stills(self, sha256):
            return {"a": Stills(np.array([0, 2000]), (zero, two))}.get(sha256, NO_STILLS)

    pictures = night.Pictures(Bank())

    assert pictures.near(Reference(id="a", content_sha256="a"), 1500) == shown_small(two)
    assert Image.open(io.BytesIO(shown_small(two))).size == (SHOWN_SIDE, 180)
    assert pictures.near(Reference(id="b", content_sha256="b"), 1500) is None
