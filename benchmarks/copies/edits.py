"""The edits an uploader makes: named values that turn a seed into ffmpeg filters of a settled strength.

A filter graph is a template: `[in]` and `[out]` are its ends, `[other]` unrelated footage, `[drawing]` a still picture
with transparency, `[voice]` and `[music]` sounds; a label that starts with `@` is private to the edit. Sizes are
(width, height) in pixels, always even. Strengths follow what the VSC2022 paper lists (arXiv 2306.09489, section 3.3)
at the level where a person still recognises the footage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Size = tuple[int, int]
Rng = np.random.Generator
DRAWINGS = ("caption", "emoji")


@dataclass(frozen=True)
class Change:
    """One edit with its strength settled: what happens to picture, sound, size and time."""

    name: str
    size: Size
    picture: str = "[in]null[out]"
    sound: str = "[in]anull[out]"
    speed: float = 1.0
    drawing: str | None = None
    seed: int = 0
    crf: int | None = None
    muted: bool = False
    shots: int = 1


@dataclass(frozen=True)
class Edit:
    """A kind of change; at most one edit of a family goes into a combination."""

    name: str
    family: Literal["none", "geometry", "time", "layout", "tone", "sound"]
    settle: Callable[[Rng, Size], Change]
    needs_sound: bool = False


def even(value: float) -> int:
    """Round to an even number of pixels, as 4:2:0 pictures need."""
    return max(2, 2 * round(value / 2))


def within(size: Size, long: int = 640, short: int = 360) -> Size:
    """Scale a size to the largest that fits 640x360 or, upright, 360x640."""
    width, height = size
    wide, high = (long, short) if width >= height else (short, long)
    scale = min(wide / width, high / height)
    return even(width * scale), even(height * scale)


def _fill(size: Size) -> str:
    width, height = size
    return f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1"


def _sign(rng: Rng) -> int:
    return int(rng.choice([-1, 1]))


def _plain(_: Rng, size: Size) -> Change:
    return Change("plain", size)


def _concat(rng: Rng, size: Size) -> Change:
    return Change("concat", size, shots=int(rng.integers(3, 6)))


def _reencode(rng: Rng, size: Size) -> Change:
    share = rng.uniform(0.4, 0.6)
    small, full = f"scale={even(size[0] * share)}:{even(size[1] * share)}", f"scale={size[0]}:{size[1]}"
    return Change("reencode", size, f"[in]{small},{full}[out]", crf=int(rng.integers(38, 44)))


def _crop(rng: Rng, size: Size) -> Change:
    width, height = (even(length * rng.uniform(0.55, 0.85)) for length in size)
    x, y = (int(rng.integers(0, full - part + 1)) for full, part in zip(size, (width, height), strict=True))
    return Change("crop", (width, height), f"[in]crop={width}:{height}:{x}:{y}[out]")


def _mirror(_: Rng, size: Size) -> Change:
    return Change("mirror", size, "[in]hflip[out]")


def _rotate_small(rng: Rng, size: Size) -> Change:
    angle = _sign(rng) * rng.uniform(4, 15)
    turn = f"rotate={angle:.2f}*PI/180:c=black"
    if rng.random() < 0.5:
        return Change("rotate_small", size, f"[in]{turn}[out]")
    share = 1 / (np.cos(np.radians(abs(angle))) + size[0] / size[1] * np.sin(np.radians(abs(angle))))
    inside = (even(size[0] * share), even(size[1] * share))
    return Change("rotate_small", inside, f"[in]{turn},crop={inside[0]}:{inside[1]}[out]")


def _rotate_90(rng: Rng, size: Size) -> Change:
    return Change("rotate_90", size[::-1], f"[in]transpose={rng.integers(1, 3)}[out]")


def _rotate_180(_: Rng, size: Size) -> Change:
    return Change("rotate_180", size, "[in]hflip,vflip[out]")


def _aspect(rng: Rng, size: Size) -> Change:
    share = rng.uniform(0.55, 0.75) if rng.random() < 0.6 else rng.uniform(1.3, 1.6)
    width = even(size[0] * share)
    return Change("aspect", (width, size[1]), f"[in]scale={width}:{size[1]},setsar=1[out]")


def _speed(rng: Rng, size: Size) -> Change:
    slow, fast = rng.uniform(0.80, 0.93), rng.uniform(1.08, 1.25)
    factor = round(float(rng.choice([slow, fast])), 3)
    return Change("speed", size, f"[in]setpts=PTS/{factor}[out]", f"[in]atempo={factor}[out]", speed=factor)


def _low_fps(rng: Rng, size: Size) -> Change:
    return Change("low_fps", size, f"[in]fps={rng.integers(4, 9)}[out]")


def _blur(rng: Rng, size: Size) -> Change:
    return Change("blur", size, f"[in]gblur=sigma={rng.uniform(2.5, 6):.2f}[out]")


def _noise(rng: Rng, size: Size) -> Change:
    return Change("noise", size, f"[in]noise=alls={rng.integers(25, 56)}:allf=t:all_seed={rng.integers(1, 9999)}[out]")


def _colour(rng: Rng, size: Size) -> Change:
    light, gamma = _sign(rng) * rng.uniform(0.05, 0.16), rng.uniform(0.75, 1.35)
    contrast, saturation = rng.uniform(0.7, 1.4), rng.uniform(0.4, 1.8)
    tone = f"eq=brightness={light:.3f}:contrast={contrast:.3f}:saturation={saturation:.3f}:gamma={gamma:.3f}"
    return Change("colour", size, f"[in]{tone},hue=h={_sign(rng) * rng.uniform(10, 50):.1f}[out]")


def _grey(_: Rng, size: Size) -> Change:
    return Change("grey", size, "[in]hue=s=0[out]")


def _borders_plain(rng: Rng, size: Size) -> Change:
    beside, above = [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)][rng.integers(3)]
    width, height = (
        even(full * (1 + 2 * on * rng.uniform(0.1, 0.35))) for full, on in zip(size, (beside, above), strict=True)
    )
    tone = rng.choice(["black", "black", "white", "navy"])
    return Change(
        "borders_plain", (width, height), f"[in]pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:{tone},setsar=1[out]"
    )


def _borders_blurred(rng: Rng, size: Size) -> Change:
    ratio = float(rng.choice([1.0, 0.8, 9 / 16])) if size[0] > size[1] else 16 / 9
    frame = (size[0], even(size[0] / ratio)) if size[0] > size[1] else (even(size[1] * ratio), size[1])
    back = f"[@a]{_fill(frame)},gblur=sigma=20[@c]"
    return Change("borders_blurred", frame, f"[in]split[@a][@b];{back};[@c][@b]overlay=(W-w)/2:(H-h)/2,setsar=1[out]")


def _drawn(name: str) -> Callable[[Rng, Size], Change]:
    def settle(rng: Rng, size: Size) -> Change:
        return Change(name, size, "[in][drawing]overlay=0:0[out]", drawing=name, seed=int(rng.integers(1, 2**31)))

    return settle


def _corner(rng: Rng, size: Size, small: Size) -> Size:
    """Somewhere near a corner: 2 to 8 % from the edges."""
    room = [full - part for full, part in zip(size, small, strict=True)]
    gaps = [int(min(space, full * rng.uniform(0.02, 0.08))) for space, full in zip(room, size, strict=True)]
    x, y = (gap if rng.random() < 0.5 else space - gap for gap, space in zip(gaps, room, strict=True))
    return x, y


def _pip_over(rng: Rng, size: Size) -> Change:
    share = rng.uniform(0.35, 0.6)
    small = (even(size[0] * share), even(size[1] * share))
    x, y = _corner(rng, size, small)
    shrink = f"[in]scale={small[0]}:{small[1]}[@s];[other]{_fill(size)}[@b]"
    return Change("pip_over", size, f"{shrink};[@b][@s]overlay={x}:{y}[out]")


def _pip_under(rng: Rng, size: Size) -> Change:
    share = rng.uniform(0.3, 0.45)
    small = (even(size[0] * share), even(size[1] * share))
    x, y = _corner(rng, size, small)
    return Change("pip_under", size, f"[other]{_fill(small)}[@s];[in][@s]overlay={x}:{y}[out]")


def _stack(name: str, filter_name: str, grown: Callable[[Size], Size]) -> Callable[[Rng, Size], Change]:
    def settle(rng: Rng, size: Size) -> Change:
        order = "[@a][@b]" if rng.random() < 0.5 else "[@b][@a]"
        both = f"[in]setsar=1[@a];[other]{_fill(size)}[@b]"
        return Change(name, grown(size), f"{both};{order}{filter_name}[out]")

    return settle


def _over(name: str) -> Callable[[Rng, Size], Change]:
    """Lay a voice or music over the sound, which is turned down by 3 to 9 dB."""

    def settle(rng: Rng, size: Size) -> Change:
        down, up = rng.uniform(-9, -3), rng.uniform(-2, 3)
        parts = f"[in]volume={down:.1f}dB[@s];[{name.partition('_')[0]}]volume={up:.1f}dB[@v]"
        mixed = f"{parts};[@s][@v]amix=inputs=2:duration=first:normalize=0,alimiter=limit=0.95[out]"
        return Change(name, size, sound=mixed, seed=int(rng.integers(1, 2**31)))

    return settle


def _pitch(rng: Rng, size: Size) -> Change:
    """Shift by 0.5 to 2.5 semitones and keep the tempo: resample, then stretch back."""
    factor = 2 ** (_sign(rng) * rng.uniform(0.5, 2.5) / 12)
    return Change(
        "pitch", size, sound=f"[in]asetrate={round(44100 * factor)},aresample=44100,atempo={1 / factor:.5f}[out]"
    )


def _muted(_: Rng, size: Size) -> Change:
    return Change("muted", size, muted=True)


EDITS: dict[str, Edit] = {
    edit.name: edit
    for edit in (
        Edit("plain", "none", _plain),
        Edit("concat", "none", _concat),
        Edit("reencode", "tone", _reencode),
        Edit("crop", "geometry", _crop),
        Edit("mirror", "geometry", _mirror),
        Edit("rotate_small", "geometry", _rotate_small),
        Edit("rotate_90", "geometry", _rotate_90),
        Edit("rotate_180", "geometry", _rotate_180),
        Edit("aspect", "geometry", _aspect),
        Edit("speed", "time", _speed),
        Edit("low_fps", "time", _low_fps),
        Edit("blur", "tone", _blur),
        Edit("noise", "tone", _noise),
        Edit("colour", "tone", _colour),
        Edit("grey", "tone", _grey),
        Edit("borders_plain", "layout", _borders_plain),
        Edit("borders_blurred", "layout", _borders_blurred),
        Edit("caption", "layout", _drawn("caption")),
        Edit("emoji", "layout", _drawn("emoji")),
        Edit("pip_over", "layout", _pip_over),
        Edit("pip_under", "layout", _pip_under),
        Edit("stack_vertical", "layout", _stack("stack_vertical", "vstack", lambda size: (size[0], 2 * size[1]))),
        Edit("stack_horizontal", "layout", _stack("stack_horizontal", "hstack", lambda size: (2 * size[0], size[1]))),
        Edit("voice_over", "sound", _over("voice_over"), needs_sound=True),
        Edit("music_over", "sound", _over("music_over"), needs_sound=True),
        Edit("pitch", "sound", _pitch, needs_sound=True),
        Edit("muted", "sound", _muted, needs_sound=True),
    )
}
ORDER = ("geometry", "time", "tone", "layout", "sound", "none")


def combination(rng: Rng) -> tuple[str, ...]:
    """Two or three edits of different families, in the order an uploader's editor would apply them."""
    families = rng.choice(ORDER[:5], size=int(rng.integers(2, 4)), replace=False)
    chosen = [EDITS[str(rng.choice([e.name for e in EDITS.values() if e.family == family]))] for family in families]
    return tuple(edit.name for edit in sorted(chosen, key=lambda edit: ORDER.index(edit.family)))


def settle(names: tuple[str, ...], rng: Rng, size: Size) -> tuple[Change, ...]:
    """Settle the strengths of a chain of edits; each sees the size the one before it left, brought back to 360p."""
    changes: list[Change] = []
    for name in names:
        change = EDITS[name].settle(rng, size)
        size = within(change.size)
        scaled = change.picture.replace("[out]", f"[@z];[@z]scale={size[0]}:{size[1]},setsar=1[out]")
        changes.append(replace(change, size=size, picture=scaled))
    return tuple(changes)
