"""What every peer answers with: scores of one frame and one text, by Nightjar's own model classes, without Nightjar.

A user who wraps models by hand writes about this: decode, resize, predict, score the text. No isolation of the decoder,
no segments, no policy, no verdict.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_registry.bundles import PinnedBundle
from model_registry.model import predict_all
from pipelines.text.night import reader_of
from pipelines.text.read import ReadTexts
from pipelines.text.words.lexicon import load_lexicons
from pipelines.text.words.matcher import Matcher

Upload = tuple[bytes, str]  # a picture's bytes and its title


class Screener:
    """The first screening of a bundle: visual models and text tiers."""

    def __init__(self, bundle_file: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        bundle: PinnedBundle = pickle.loads(Path(bundle_file).read_bytes())
        self.side = bundle.frame_side
        self.tower = bundle.tower.load("cpu")
        self.beside = [ref.load("cpu") for ref in bundle.frame_models]
        self.heads = [ref.load("cpu") for ref in bundle.heads]
        lexicons = load_lexicons()
        stage = ReadTexts(
            lexicons=lexicons,
            folder="",
            tower=bundle.text_tower,
            heads=bundle.text_heads,
            bands=reader_of(bundle, lexicons).thresholds,
            threads=threads,
        )
        self.read = stage.reader(Matcher(lexicons))

    def frame(self, picture: bytes) -> NDArray[np.uint8]:
        """Decode as most do: Pillow, RGB, the shorter side as the bundle wants it."""
        with Image.open(io.BytesIO(picture)) as opened:
            opened.draft("RGB", (self.side, self.side))
            found = opened.convert("RGB")
        scale = self.side / min(found.size)
        size = (max(1, round(found.width * scale)), max(1, round(found.height * scale)))
        return np.asarray(found.resize(size, Image.Resampling.BILINEAR))

    def scores(self, frames: Sequence[NDArray[np.uint8]], titles: Sequence[str]) -> list[dict[str, object]]:
        """Score a batch."""
        embedding_ND = predict_all(self.tower, list(frames))
        found = {model.spec.name: predict_all(model, list(frames)) for model in self.beside}
        found |= {head.spec.name: predict_all(head, list(embedding_ND)) for head in self.heads}
        hits = self.read(list(titles))["hits"].to_pylist()
        return [
            {
                **{name: [round(float(s), 6) for s in rows[i]] for name, rows in found.items()},
                "hits": len(hits[i] or ()),
            }
            for i in range(len(titles))
        ]
