"""A reader that keeps the contract and knows its texts beforehand: the first pixel of a frame says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model_registry.model import InputKind, Line, Model, ModelRef, ModelSpec, OutputKind

HEIGHT, WIDTH = 160, 256
TEXTS = ("", "ADD ME ON LINE", "FREE GIFT TODAY", "CALL US NOW")
BOX = (0.05, 0.68, 0.98, 0.88)


class FakeReader(Model[NDArray[np.uint8], tuple[Line, ...]]):
    """Returns the caption of a `frame`, and bars as readers do; remembers how many frames it was given."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="fake_reader", version="1", reads=InputKind.FRAME, writes=OutputKind.LINES, artifacts=(), max_batch=2
    )
    batches: ClassVar[list[int]] = []

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        return cls()

    def predict(self, batch: Sequence[NDArray[np.uint8]]) -> list[tuple[Line, ...]]:
        self.batches.append(len(batch))
        texts = [TEXTS[frame[0, 0, 0]] for frame in batch]
        return [(Line(text, 0.97, box=BOX), Line("||||", 0.97, box=BOX)) if text else () for text in texts]

    @classmethod
    def examples(cls) -> list[NDArray[np.uint8]]:
        return [frame(0), frame(1)]


REF = ModelRef("fake_reader", "1", "tests.pipelines.ocr.reader:FakeReader")


def frame(text: int, shift: int = 0) -> NDArray[np.uint8]:
    """A soft picture, moved by `shift`, with the caption of that number."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wave = (110 + 60 * np.sin((columns + 5 * shift) / 40) * np.cos((rows + 2 * shift) / 25)).astype(np.uint8)
    picture = Image.fromarray(np.repeat(wave[:, :, None], 3, axis=2))
    pen = ImageDraw.Draw(picture)
    pen.text((16, 112), TEXTS[text], "white", ImageFont.load_default(22), stroke_width=1, stroke_fill="black")
    drawn = np.array(picture)
    drawn[0, 0] = text
    return drawn
