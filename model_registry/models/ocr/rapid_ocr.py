"""RapidOCR's PP-OCRv6 small: finds and reads Chinese and English text in frames.

Text is found by differentiable binarisation (Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", AAAI 2020) and read by a CTC network. The graphs are run here, on files given; of the package `rapidocr`
only the steps before and after them are used, so that nothing of it can go and download a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Line, Model, ModelSpec, OutputKind
from model_registry.models.ocr.crops import Crop, checked, crop_out, for_detection, runs, strips
from model_registry.models.ocr.lines import Piece, joined
from model_registry.onnx import open_graph
from model_registry.reading import reading

Frame = NDArray[np.uint8]
DETECTION, RECOGNITION = "pp-ocrv6-small-detection", "pp-ocrv6-small-recognition"
# What a pixel and a box have to score to be text, and how far a box grows: as the models were published.
PIXEL_SCORE, BOX_SCORE, GROWTH, CANDIDATES = 0.3, 0.5, 1.6, 1000
MAX_BOXES = 64  # of one frame, the largest: a wall of signs costs no more than a page of text


class RapidOcr(Model[Frame, tuple[Line, ...]]):
    """Frames to lines with a confidence and a box, in reading order, by ONNX Runtime."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="rapid_ocr",
        version="1.0.0",
        reads=InputKind.FRAME,
        writes=OutputKind.LINES,
        artifacts=(DETECTION, RECOGNITION),
        max_batch=16,
        gpus=0.25,
        memory_mb=800,
    )

    def __init__(self, detection: Any, recognition: Any) -> None:
        from rapidocr.ch_ppocr_det.utils import DBPostProcess
        from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode

        self.detection, self.recognition = detection, recognition
        self.boxes = DBPostProcess(PIXEL_SCORE, BOX_SCORE, CANDIDATES, GROWTH, "fast", use_dilation=True)
        alphabet: str = recognition.get_modelmeta().custom_metadata_map["character"]
        self.letters = CTCLabelDecode(alphabet.splitlines())

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Open both graphs on CUDA where the runtime has it, else on the CPU, with torch's thread count."""
        sessions = [open_graph(weights[name], device, arena=False) for name in (DETECTION, RECOGNITION)]
        with reading(weights[RECOGNITION], "a graph that names its letters"):
            return cls(*sessions)

    def predict(self, batch: Sequence[Frame]) -> list[tuple[Line, ...]]:
        """Return the lines of each frame; the text of all frames is recognised together."""
        crops = [crop for index, frame in enumerate(batch) for crop in self._found(index, checked(frame))]
        pieces: list[list[Piece]] = [[] for _ in batch]
        for crop, (text, confidence) in zip(crops, self._read(crops), strict=True):
            pieces[crop.frame].append(Piece(text, confidence, crop.box))
        return [joined(found, *frame.shape[:2]) for found, frame in zip(pieces, batch, strict=True)]

    @classmethod
    def examples(cls) -> list[Frame]:
        """Return drawn captions on frames of several sizes, and one frame without any."""
        from PIL import Image, ImageDraw, ImageFont

        frames = []
        for text, size in (("ADD ME NOW", (455, 256)), ("win 500 today", (256, 455)), ("", (96, 64))):
            picture = Image.new("RGB", size, (30, 60, 90))
            ImageDraw.Draw(picture).text((20, 30), text, font=ImageFont.load_default(28), fill="white")
            frames.append(np.array(picture))
        return frames

    def _found(self, index: int, frame_HWC: Frame) -> list[Crop]:
        """The crops of one frame. Frames are not stacked: a core is no faster at sixteen than at one."""
        pixels_1CHW = for_detection(frame_HWC)
        [score_11HW] = self.detection.run(None, {self.detection.get_inputs()[0].name: pixels_1CHW})
        corners, _ = self.boxes(score_11HW, frame_HWC.shape[:2])
        crops = [crop_out(index, frame_HWC, each) for each in corners]
        return sorted(crops, key=lambda crop: -crop.pixels_HWC.size)[:MAX_BOXES]

    def _read(self, crops: Sequence[Crop]) -> list[tuple[str, float]]:
        """A text and its confidence for each crop, in order."""
        read: list[tuple[str, float]] = [("", 0.0)] * len(crops)
        name = self.recognition.get_inputs()[0].name
        for numbers in runs(crops):
            [score_NTL] = self.recognition.run(None, {name: strips([crops[number] for number in numbers])})
            texts, _ = self.letters(score_NTL)
            for number, (text, confidence) in zip(numbers, texts, strict=True):
                read[number] = (text.strip(), float(confidence))
        return read
