"""Fit a descriptor space: what edits change is played down, what tells pictures apart is played up.

Learned whitening after Mikolajczyk and Matas, "Improving descriptors for fast tree matching by optimal linear
projection" (ICCV 2007), as Radenovic, Tolias and Chum use it ("Fine-tuning CNN image retrieval with no human
annotation", TPAMI 2018, section 3.4): the inverse root of the covariance between edits of one picture, then the
principal axes of what is left between pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_registry.errors import NightjarError
from model_registry.model import Item, Model, predict_all
from pipelines.copyright.picture.frame_edits import EDITS
from pipelines.copyright.picture.space import MOST_DIMENSIONS, Space, unit

SHRINK = 0.3  # of the mean variance, added to each: axes that few pictures span are not blown up
EVEN = 0.25  # 0 keeps the variances between pictures, 0.5 makes them alike
FLOOR = 0.05  # of the mean variance between pictures
DIMENSIONS = 256
BACKGROUND = 4096


def embed_edits(
    model: Model, pictures: Sequence[Item], advance: Callable[[], None] = lambda: None, seed: int = 0
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Embed uint8 [H, W, 3] pictures as they are, float32 [N, E], and under every edit, a list of [N, E].

    `advance` is called after each edit.
    """
    random = np.random.default_rng(seed)
    images = [Image.fromarray(np.asarray(picture, np.uint8)) for picture in pictures]
    edited = []
    for edit in EDITS:
        edited.append(predict_all(model, [np.asarray(edit(image, random)) for image in images]))
        advance()
    return predict_all(model, pictures), edited


def fit_space(
    tower: str, plain_NE: NDArray[Any], edited: Sequence[NDArray[Any]], dimensions: int = DIMENSIONS
) -> Space:
    """Fit on embeddings of pictures, [N, E], and of the same pictures under several edits, each [N, E].

    The plain ones, evenly chosen, become the background. Raises NightjarError for fewer than 2 pictures or no edit.
    """
    if len(plain_NE) < 2 or not edited:
        raise NightjarError(f"a descriptor space needs 2 pictures and an edit, found {len(plain_NE)} and {len(edited)}")
    plain = unit(np.asarray(plain_NE, np.float32)).astype(np.float64)
    others = [unit(np.asarray(each_NE, np.float32)).astype(np.float64) for each_NE in edited]
    mean_E = np.mean([plain, *others], axis=(0, 1))
    changes = np.concatenate([each - plain for each in others])
    still_EE = _inverse_root(changes.T @ changes / len(changes))
    left_NE = (plain - mean_E) @ still_EE
    variances, axes_EE = np.linalg.eigh(left_NE.T @ left_NE / len(left_NE))
    keep = min(dimensions, MOST_DIMENSIONS, plain.shape[1])
    variances, axes_ED = np.maximum(variances[::-1][:keep], 0), axes_EE[:, ::-1][:, :keep]
    projection_ED = still_EE @ (axes_ED * (variances + FLOOR * variances.mean()) ** -EVEN)
    return _with_background(tower, mean_E, projection_ED, plain_NE)


def _inverse_root(covariance_EE: NDArray[np.float64]) -> NDArray[np.float64]:
    shrunk = covariance_EE + SHRINK * np.trace(covariance_EE) / len(covariance_EE) * np.eye(len(covariance_EE))
    variances, axes_EE = np.linalg.eigh(shrunk)
    return np.asarray((axes_EE * variances**-0.5) @ axes_EE.T)


def _with_background(
    tower: str, mean_E: NDArray[np.float64], projection_ED: NDArray[np.float64], plain_NE: NDArray[Any]
) -> Space:
    """Round to what the file holds, float16, so that the fitted space and the stored one are the same."""
    mean = mean_E.astype(np.float32)
    projection = _rounded(projection_ED / np.abs(projection_ED).max())
    bare = Space(tower, mean, projection, np.zeros((0, projection.shape[1]), np.float32))
    rows = np.unique(np.linspace(0, len(plain_NE) - 1, min(BACKGROUND, len(plain_NE))).astype(np.int64))
    return Space(tower, mean, projection, _rounded(bare.describe(np.asarray(plain_NE)[rows])))


def _rounded(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)
