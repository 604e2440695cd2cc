"""How long a batch may run before its model counts as hung."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from model_registry.model import InputKind, ModelSpec
from pipelines.serving.watch import ITEM_S, Hung, allowed_s, check_running
from tests.fakes import FakeTower

TOWER = FakeTower.spec


@dataclass(frozen=True)
class Running:
    """A batcher by what it says."""

    running: list[tuple[float, int]]
    spec: ModelSpec = TOWER


def test_what_runs_as_long_as_batches_do_is_well() -> None:
    check_running([])
    check_running([Running([]), Running([(64.9, 1), (0.0, 1)]), Running([(139.0, 16)])])


def test_what_runs_longer_is_named_with_what_was_allowed() -> None:
    with pytest.raises(Hung, match=f"model {TOWER.name} has been at a batch of 1 for 66 s, at most 65 s are allowed"):
        check_running([Running([]), Running([(1.0, 1), (66.0, 1)])])


def test_sound_takes_longer_than_a_picture() -> None:
    listens = replace(TOWER, reads=InputKind.SOUND)
    check_running([Running([(119.0, 1)], listens)])
    with pytest.raises(Hung):
        check_running([Running([(121.0, 1)], listens)])


def test_every_kind_of_item_has_its_time() -> None:
    assert set(ITEM_S) == set(InputKind)
    assert allowed_s(TOWER, 100) - allowed_s(TOWER, 1) == pytest.approx(99 * ITEM_S[InputKind.FRAME])
