"""The descriptor space: what comes out has length 1, a file gives back what was saved, another tower is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model_registry.errors import NightjarError, UsageError
from pipelines.copyright.picture.space import MOST_DIMENSIONS, SPACES, Space, shipped_space, unit
from tests.pipelines.copyright.bank_writer import space

BY_HAND = Space(
    tower="fake_tower@1",
    mean_E=np.array([0.5, 0.0, 0.0], np.float32),
    projection_ED=np.array([[2, 0], [0, 1], [0, 0]], np.float32),
    background_BD=np.array([[1, 0], [0, 1]], np.float32),
)


class TestDescribe:
    def test_by_hand(self):
        """(3, 4, 0) at length 1 is (.6, .8, 0); less the mean (.1, .8, 0); projected (.2, .8)."""
        (found,) = BY_HAND.describe(np.array([[3, 4, 0]]))

        assert found == pytest.approx(np.array([0.2, 0.8]) / np.hypot(0.2, 0.8))

    def test_at_the_mean_there_is_nothing_to_match(self):
        centred = replace(BY_HAND, mean_E=np.array([1.0, 0.0, 0.0], np.float32))

        assert centred.describe(np.array([[7.0, 0, 0]])).tolist() == [[0, 0]]

    def test_the_length_of_an_embedding_does_not_matter(self):
        vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)

        np.testing.assert_allclose(space().describe(vectors), space().describe(7 * vectors), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(space().describe(vectors), axis=1), 1, atol=1e-6)

    def test_float16_and_none_at_all(self):
        vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float16)

        assert space().describe(vectors).dtype == np.float32
        assert space().describe(vectors[:0]).shape == (0, space().dimensions)


class TestCommon:
    def test_by_hand(self):
        """With two in the background both are the nearest: the mean of both similarities."""
        found = BY_HAND.common(np.array([[1, 0], [0.6, 0.8]], np.float32))

        assert found == pytest.approx(np.array([0.5, 0.7]))

    def test_only_the_nearest_count(self):
        near, far = [[1.0, 0.0]] * 10, [[-1.0, 0.0]] * 50
        crowd = replace(BY_HAND, background_BD=np.array(near + far, np.float32))

        assert crowd.common(np.array([[1, 0]], np.float32)) == pytest.approx(np.array([1.0]))

    def test_without_a_background_nothing_is_common(self):
        bare = replace(BY_HAND, background_BD=np.zeros((0, 2), np.float32))

        assert bare.common(np.array([[1, 0]], np.float32)).tolist() == [0]
        assert BY_HAND.common(np.zeros((0, 2), np.float32)).tolist() == []


class TestFile:
    def test_what_was_saved_comes_back(self, tmp_path):
        saved = space()
        saved.save(tmp_path / "space.npz")
        back = Space.load(tmp_path / "space.npz")

        assert back.id == saved.id
        for name in ("mean_E", "projection_ED", "background_BD"):
            assert np.array_equal(getattr(back, name), getattr(saved, name))
            assert getattr(back, name).dtype == np.float32
        assert [path.name for path in tmp_path.iterdir()] == ["space.npz"]

    @pytest.mark.parametrize("name", ["mean_E", "projection_ED", "background_BD"])
    def test_one_number_makes_another_id(self, name):
        other = getattr(space(), name).copy()
        other.flat[0] += 1

        assert replace(space(), **{name: other}).id != space().id

    def test_the_id_names_the_tower(self):
        assert space().id.startswith("fake_tower@1+")
        assert space("another@2").id != space().id

    @pytest.mark.parametrize("content", [b"", b"torn", b"PK\x03\x04torn"])
    def test_a_torn_file_is_named(self, tmp_path, content):
        path = tmp_path / "space.npz"
        path.write_bytes(content)

        with pytest.raises(NightjarError) as refusal:
            Space.load(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_half_of_a_file_is_named(self, tmp_path):
        path = tmp_path / "space.npz"
        space().save(path)
        path.write_bytes(path.read_bytes()[:-40])

        with pytest.raises(NightjarError, match=r"space\.npz"):
            Space.load(path)


def test_another_tower_is_refused_in_one_sentence():
    space().demand("fake_tower@1")
    with pytest.raises(UsageError) as refusal:
        space().demand("clip_b32@1")
    assert "come from fake_tower@1 and these from clip_b32@1" in str(refusal.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean_E": np.zeros(4, np.float32)},
        {"background_BD": np.zeros((2, 3), np.float32)},
        {
            "projection_ED": np.zeros((3, MOST_DIMENSIONS + 1), np.float32),
            "background_BD": np.zeros((0, MOST_DIMENSIONS + 1), np.float32),
        },
    ],
)
def test_matrices_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="do not fit"):
        replace(BY_HAND, **wrong)


def test_unit_leaves_zeros():
    assert unit(np.array([[3, 4], [0, 0]], np.float32)) == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


class TestShipped:
    def test_no_space_for_a_tower_that_nobody_fitted(self):
        assert shipped_space("no_such_tower@1") is None

    @pytest.mark.parametrize("path", sorted(SPACES.glob("*.npz")), ids=lambda path: path.stem)
    def test_each_loads_and_is_for_one_version_of_its_tower(self, path):
        found = Space.load(path)

        assert found.tower.partition("@")[0] == path.stem
        assert shipped_space(found.tower) is not None
        assert shipped_space(f"{path.stem}@0-none") is None
        assert np.linalg.norm(found.background_BD, axis=1) == pytest.approx(1, abs=2e-3)
