"""A night goes on as it began, and stops where its models are broken."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from jobs.looking import BROKEN_FROM, refuse_broken_models
from jobs.night import as_begun
from jobs.watching.meter import Meter
from model_registry.errors import NightjarError
from pipelines.nightly import Machines
from pipelines.places import place


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    return place(f"memory://{uuid.uuid4().hex}/f") if request.param == "store" else tmp_path / "lite" / "frames"


def test_a_night_keeps_its_threads_when_a_node_is_away(folder):
    assert as_begun(folder, Machines(model_threads=2)).model_threads == 2
    again = as_begun(folder, Machines(model_threads=1, model_actors=3))
    assert (again.model_threads, again.model_actors) == (2, 3)


@pytest.mark.parametrize(
    ("failed", "contents", "stops"),
    [
        (BROKEN_FROM, BROKEN_FROM, True),
        (BROKEN_FROM - 1, BROKEN_FROM - 1, False),
        (BROKEN_FROM, 2 * BROKEN_FROM, False),
    ],
)
def test_a_night_stops_where_most_videos_fail_in_the_models(failed, contents, stops):
    meter = Meter(contents=contents, errors_by_code=Counter(model_failed=failed, damaged=contents))
    if not stops:
        refuse_broken_models(meter)
        return
    with pytest.raises(NightjarError, match=f"the models failed on {failed} of {contents} videos, so they are broken"):
        refuse_broken_models(meter)
