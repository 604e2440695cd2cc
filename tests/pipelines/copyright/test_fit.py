"""Fitting a space: what edits change is played down, what tells pictures apart up, and the file is the fit."""

from __future__ import annotations

import numpy as np
import pytest

from model_registry.errors import NightjarError
from pipelines.copyright.picture.fit import embed_edits, fit_space
from pipelines.copyright.picture.frame_edits import EDITS
from pipelines.copyright.picture.space import MOST_DIMENSIONS, Space, unit
from tests.fakes import FakeTower
from tests.pipelines.copyright.drawn import picture

PICTURES, WIDE, OWN = 400, 24, 12


def embeddings(seed=0, edits=3, pictures=PICTURES):
    """The first half of the axes is the picture's own; an edit throws it about along the other half."""
    generator = np.random.default_rng(seed)
    own = np.concatenate([generator.normal(size=(pictures, OWN)), np.zeros((pictures, WIDE - OWN))], axis=1)

    def edited():
        thrown = np.concatenate(
            [0.1 * generator.normal(size=(pictures, OWN)), 2 * generator.normal(size=(pictures, WIDE - OWN))], axis=1
        )
        return (3.0 + own + thrown).astype(np.float32)

    return edited(), [edited() for _ in range(edits)]


def margin(plain, edited):
    """How much more alike a picture is to its own edit than to another's, in spreads of the latter."""
    alike = plain @ edited.T
    other = alike[~np.eye(len(alike), dtype=bool)]
    return (np.diag(alike).mean() - other.mean()) / other.std()


def test_edits_are_played_down():
    plain, edited = embeddings()
    space = fit_space("fake_tower@1", plain, edited)
    unseen, (its_edit,) = embeddings(seed=1, edits=1)
    centre = plain.mean(axis=0)
    raw = margin(unit(unseen - centre), unit(its_edit - centre))

    assert margin(space.describe(unseen), space.describe(its_edit)) > 2 * raw > 0


def test_the_axes_of_the_pictures_outweigh_those_of_the_edits():
    plain, edited = embeddings()
    weight = np.linalg.norm(fit_space("fake_tower@1", plain, edited).projection_ED, axis=1)

    assert weight[:OWN].min() > 1.5 * weight[OWN:].max()


def test_fewer_dimensions_keep_what_varies_most():
    plain, edited = embeddings()
    space = fit_space("fake_tower@1", plain, edited, dimensions=OWN)
    unseen, (its_edit,) = embeddings(seed=1, edits=1)

    assert space.dimensions == OWN
    assert margin(space.describe(unseen), space.describe(its_edit)) > margin(unit(unseen - 3), unit(its_edit - 3))


@pytest.mark.parametrize(("dimensions", "wanted"), [(5, 5), (WIDE, WIDE), (10_000, WIDE)])
def test_never_more_dimensions_than_there_are(dimensions, wanted):
    plain, edited = embeddings(pictures=50)

    assert fit_space("fake_tower@1", plain, edited, dimensions).dimensions == wanted <= MOST_DIMENSIONS


def test_what_is_fitted_is_what_the_file_holds(tmp_path):
    plain, edited = embeddings(pictures=50)
    fitted = fit_space("fake_tower@1", plain, edited)
    fitted.save(tmp_path / "space.npz")

    assert Space.load(tmp_path / "space.npz").id == fitted.id


def test_the_background_is_the_pictures_themselves():
    plain, edited = embeddings(pictures=50)
    space = fit_space("fake_tower@1", plain, edited)

    assert space.background_BD.shape == (50, space.dimensions)
    assert space.background_BD == pytest.approx(space.describe(plain), abs=2e-3)


def test_two_pictures_with_the_same_embedding_are_enough_to_give_numbers():
    space = fit_space("fake_tower@1", np.ones((2, 4), np.float32), [np.ones((2, 4), np.float32) * [1, 1, 1, 2]])

    assert np.isfinite(space.projection_ED).all()


@pytest.mark.parametrize(("pictures", "edits"), [(1, 3), (0, 3), (5, 0)])
def test_too_little_to_learn_from_is_refused(pictures, edits):
    plain, edited = embeddings(pictures=pictures, edits=edits)

    with pytest.raises(NightjarError, match=f"needs 2 pictures and an edit, found {pictures} and {edits}"):
        fit_space("fake_tower@1", plain, edited)


def test_every_picture_is_embedded_as_it_is_and_under_every_edit():
    pictures = [picture(seed, 48, 64) for seed in range(3)]
    plain, edited = embed_edits(FakeTower(), pictures)
    again = embed_edits(FakeTower(), pictures)

    assert np.array_equal(plain, FakeTower().predict(pictures))
    assert [each.shape for each in edited] == [(3, 4)] * len(EDITS)
    assert all(np.array_equal(one, other) for one, other in zip(edited, again[1], strict=True)), "the seed decides"
    assert sum(not np.allclose(each, plain, atol=1e-3) for each in edited) > len(EDITS) / 2
