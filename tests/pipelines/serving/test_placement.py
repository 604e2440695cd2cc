"""Where models lie, what a replica is given, and what is refused before Ray Serve waits for ever."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from model_registry.bundles import BUNDLES
from model_registry.errors import NightjarError
from pipelines.serving.application import Layout
from pipelines.serving.beside import HERE, BesideRef
from pipelines.serving.placement import Placement, Room, placed
from pipelines.serving.replica import Failed, is_context_lost, replica_options
from pipelines.serving.served import ServedRef
from pipelines.serving.service import Service, versions
from tests.fakes import FakeTower
from tests.serving_parts import Head, Tower, ref, small_plan

LITE, CLIP = BUNDLES["lite"].specs, BUNDLES["clip-l14"].specs


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "versions").write_text("1")
    return Service(policy=str(tmp_path / "versions"))


@pytest.mark.parametrize(
    ("room", "placement"),
    [(Room(2), "together"), (Room(8), "apart"), (Room(2, gpus=1), "apart")],
)
def test_auto_goes_by_the_machine(room: Room, placement: str) -> None:
    assert Placement.AUTO.on(room) == placement
    assert Placement.TOGETHER.on(room) == "together"


def test_heads_live_beside_whoever_asks(service: Service) -> None:
    bundle = small_plan(service).bundle
    lying = placed(bundle, Placement.APART, "app")
    assert [type(found) for found in lying.models] == [ServedRef, ServedRef, BesideRef]
    assert {type(found) for found in placed(bundle, Placement.TOGETHER, "app").models} == {BesideRef}
    assert lying.id == bundle.id
    assert [found.plain for found in lying.models] == list(bundle.models)


def test_a_model_beside_is_loaded_once_and_let_go() -> None:
    first = BesideRef.of(ref(Tower)).load()
    assert BesideRef.of(ref(Tower)).load() is first
    other = BesideRef.of(ref(Head)).load()
    HERE.keep_only([ref(Head)])
    with pytest.raises(RuntimeError, match="tower was closed"):
        first.predict(FakeTower.examples())
    assert BesideRef.of(ref(Head)).load() is other
    HERE.keep_only([])


def test_a_replica_gets_its_share_from_the_spec() -> None:
    spec = replace(Tower.spec, max_batch=64)
    options = replica_options(spec, cpus=0.5, gpus=0.25, replicas=(1, 4))
    assert options["ray_actor_options"] == {"num_cpus": 0.5, "num_gpus": 0.25, "memory": 50 << 20}
    assert options["autoscaling_config"]["max_replicas"] == 4
    assert options["max_queued_requests"] == options["max_ongoing_requests"] > spec.max_batch


def test_too_little_room_is_said() -> None:
    room = Room(16, gpus=4, memory_bytes=1e9)
    with pytest.raises(NightjarError, match=r"the service needs .* GB of memory, the cluster has 1"):
        Layout.of(Service(bundle="clip-l14"), CLIP, room)


@pytest.mark.parametrize("gpus", [1, 2, 8])
@pytest.mark.parametrize("placement", ["apart", "together"])
def test_models_share_the_gpus_there_are(gpus: int, placement: str) -> None:
    layout = Layout.of(Service(bundle="clip-l14", placement=Placement(placement)), CLIP, Room(16, gpus=gpus))
    shares = [layout.gpus(spec) for spec in layout.apart]
    assert 0 < sum(shares) + layout.ingress_gpus <= gpus
    assert all(share <= 1 for share in shares)
    assert all(bool(layout.gpus(spec)) == bool(spec.gpus) for spec in layout.apart)
    assert layout.machine.on_gpu == (placement == "together")


def test_a_small_machine_holds_lite_in_either_placement() -> None:
    for placement in ("apart", "together"):
        layout = Layout.of(Service(placement=Placement(placement)), LITE, Room(2, memory_bytes=12e9))
        assert layout.ingress_cpus + len(layout.apart) * layout.model_cpus <= 2


@pytest.mark.parametrize(
    ("room", "options", "replicas"),
    [
        (Room(2, memory_bytes=12e9), {}, 2),  # lite may take 5.3 GB in each
        (Room(4, memory_bytes=17e9), {}, 3),
        (Room(4, memory_bytes=6e9), {}, 1),
        (Room(2, memory_bytes=12e9), {"shared": None}, 1),
        (Room(2, memory_bytes=12e9), {"challenger_policy": "strict"}, 1),
        (Room(4, gpus=1, memory_bytes=64e9), {"placement": Placement.TOGETHER}, 1),
        (Room(16, memory_bytes=64e9), {}, 1),
        (Room(4, memory_bytes=64e9), {"replicas": 2}, 2),
    ],
    ids=["a core", "memory", "memory for one", "alone", "a challenger", "a GPU", "apart", "told"],
)
def test_a_core_has_a_replica_where_models_live_in_it(room: Room, options: dict[str, object], replicas: int) -> None:
    layout = Layout.of(Service(**{"shared": "/counts", **options}), LITE, room)
    assert layout.replicas == replicas
    assert layout.machine.workers * replicas >= int(room.cpus)
    assert layout.machine.queue_size == -(-16 // replicas)  # the replicas of a machine share its queue


class Unpicklable(Exception):  # noqa: N818
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def test_errors_keep_their_words_on_the_way() -> None:
    assert repr(pickle.loads(pickle.dumps(Failed.of(ValueError("bad\nframe")))).error) == repr(ValueError("bad\nframe"))
    assert str(Failed.of(Unpicklable(1, 2)).error) == "Unpicklable: 1 and 2"


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA failure 700: an illegal memory access", True),
        ("CUDA error: out of memory", False),
        ("the frame is bad", False),
    ],
)
def test_what_the_gpu_does_not_come_back_from(words: str, lost: bool) -> None:
    assert is_context_lost(RuntimeError(words)) is lost


def test_another_policy_or_lexicon_is_another_version(tmp_path: Path, home: Path) -> None:
    policy, lexicon = tmp_path / "policy.toml", tmp_path / "words"
    policy.write_text("1")
    lexicon.mkdir()
    (lexicon / "a.toml").write_text("1")
    service = Service(policy=str(policy), lexicons=(str(lexicon),))
    seen = [versions(service), versions(service)]
    policy.write_text("2")
    seen.append(versions(service))
    (lexicon / "b.toml").write_text("1")
    seen.append(versions(service))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_a_promoted_model_is_another_version(registry: Path, tmp_path: Path) -> None:
    from model_registry import store
    from model_registry.catalog import model_class

    files = {}
    for row in model_class("open_nsfw").spec.artifacts:
        files[row] = tmp_path / row
        files[row].write_text("weights")
    service = Service(skip=("speech", "ocr", "text"))
    before = versions(service)
    number = store.register("open_nsfw", files)
    assert versions(service) == before
    store.promote("open_nsfw", number)
    assert set(versions(service)) - set(before) == {f"open_nsfw {number}"}
