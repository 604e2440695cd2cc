"""Subtitles drawn on frames, as a video brings them: drawn large, then scaled down with the picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model_registry.artifacts import artifact, fetch

FONT, SIMPLIFIED, WEIGHT = "font-noto-sans-cjk", 2, "Medium"  # the collection's third face has China's letter forms
SCALE = 4  # of the picture that is drawn on, against the frame
TEXTS = {
    "zh": (
        "加我微信领取福利",
        "今天是我们第一次见面",
        "点击下方链接立即购买",
        "投资理财稳赚不赔",
        "官方认证绝对有效",
        "这款产品可以治病",
        "老板说明天不用上班了",
        "扫码进群每天都有红包",
        "他在河边发现一只猫",
        "限时优惠错过再等一年",
    ),
    "en": (
        "Add me on WhatsApp",
        "Guaranteed daily profit",
        "This cures diabetes",
        "Visit win-big88.com",
        "Walking along the river",
        "Free giveaway for fans",
        "Call 555-0199 today",
        "Officially approved",
        "She opened the old door",
        "Limited offer ends soon",
    ),
}


@cache
def font(height_px: int) -> ImageFont.FreeTypeFont:
    """Noto Sans CJK, whose em is `height_px`; fetched on first use."""
    face = ImageFont.truetype(fetch(artifact(FONT)), height_px, index=SIMPLIFIED)
    face.set_variation_by_name(WEIGHT)
    return face


def subtitled(
    frame_HWC: NDArray[np.uint8],
    texts: Sequence[str],
    height_px: int,
    *,
    bottom: float = 0.9,
    fill: str = "white",
    outline: bool = True,
) -> NDArray[np.uint8]:
    """Draw lines of text, centred, the last one's foot at `bottom` of the frame; a text that is too wide is cut."""
    height, width = frame_HWC.shape[:2]
    picture = Image.fromarray(frame_HWC).resize((width * SCALE, height * SCALE), Image.Resampling.BICUBIC)
    pen, face = ImageDraw.Draw(picture), font(height_px * SCALE)
    stroke = max(1, height_px * SCALE // 14) if outline else 0
    for row, text in enumerate(reversed(texts)):
        foot = round((bottom * height - row * height_px * 1.4) * SCALE)
        shown = fitting(text, height_px, width)
        pen.text((width * SCALE / 2, foot), shown, fill, face, "md", stroke_width=stroke, stroke_fill="black")
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def fitting(text: str, height_px: int, width: int) -> str:
    """As many of a text's letters as a frame of that width has room for."""
    while len(text) > 1 and font(height_px * SCALE).getlength(text) > (width - 8) * SCALE:
        text = text[:-1]
    return text.strip()
