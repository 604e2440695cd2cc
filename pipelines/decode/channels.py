"""Channels to what has to be listened to: one mix in which nothing cancels, and the channels that it does not tell.

A phone plays the sum of all channels, a headphone each by itself. Where channels agree, the mix is enough. Where one is
the negative of another, the sum is silent and the mix turns the sign; where they say different things, each is heard by
itself besides the mix. That is decided a second at a time by the correlation of the channels, from first differences,
so that bass, which is loud and says nothing, does not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.tracks import SIDE, channel_of

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]
MOST_CHANNELS = 24  # 22.2, the most that any broadcast has; of more only the mix is heard
STRETCH = 16_000  # samples in which channels are compared
FADE = 800  # samples between two ways of mixing
FULL_SCALE = 32_768
OPPOSED = -0.5  # correlation below which a channel is turned before it is added
TOLD = 0.75  # share of a channel's power that the mix explains: then the mix is enough
AUDIBLE = 1e-4**2  # mean power of the difference, -80 dB of full scale: less is hiss
MASKED = 1e-4  # of the power of the loudest channel, -40 dB: what coding leaks from one into the other
AROUND = 2  # stretches beside one that differs, which are heard with it
CENTRE, OTHER = 1.0, 0.5  # weights: in films the centre speaks; of two channels each has the half


@dataclass(frozen=True)
class Mixed:
    """A stretch of a track: the mix, and by number the channels heard besides, silent where they need not be."""

    mix: Samples
    others: dict[int, Samples]


def mixed(sound_CN: Floats, names: Sequence[str]) -> Mixed:
    """Mix float samples of -1 to 1, [C, N], with FFmpeg's name for each channel."""
    if len(sound_CN) == 1 or len(sound_CN) > MOST_CHANNELS:
        return Mixed(_whole(sound_CN.mean(0)), {})
    gram_SCC = _gram(sound_CN)
    weights_C = _weights(names)
    gains_SC = weights_C * _signs(gram_SCC)
    mix = _apply(sound_CN, gains_SC)
    apart_SC = _apart(gram_SCC, gains_SC)
    apart = np.flatnonzero(apart_SC.any(0)).tolist()
    others = {channel_of(names[c], c): _masked(sound_CN[c], apart_SC[:, c]) for c in apart}
    both_S = np.asarray(apart_SC.all(1))
    if len(names) == 2 and both_S.any():
        side = _apply(sound_CN, gains_SC * np.array([1, -1]))
        others[SIDE] = _masked(side, both_S)
    peak = max(1.0, float(np.abs(mix).max(initial=0)))
    return Mixed(_whole(mix / peak), others)


def _weights(names: Sequence[str]) -> NDArray[np.float64]:
    if len(names) == 2:
        return np.array([OTHER, OTHER])
    return np.array([CENTRE if name == "FC" else OTHER for name in names])


def _gram(sound_CN: Floats) -> NDArray[np.float64]:
    """Mean products of the channels' differences, [S, C, C], for each stretch; the last one may be shorter."""
    edges = range(0, max(1, sound_CN.shape[1]), STRETCH)
    parts = [np.diff(sound_CN[:, at : at + STRETCH], axis=1) for at in edges]
    return np.stack([(part @ part.T).astype(np.float64) / max(1, part.shape[1]) for part in parts])


def _signs(gram_SCC: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1 for a channel that is the loudest one's negative, [S, C]; the first one keeps its sign."""
    power_SC = np.einsum("scc->sc", gram_SCC)
    loudest_S = power_SC.argmax(1)
    rows = np.arange(len(gram_SCC))
    along_SC = gram_SCC[rows, loudest_S]
    scale_SC = np.sqrt(power_SC * power_SC[rows, loudest_S][:, None])
    signs_SC = np.where(along_SC < OPPOSED * scale_SC, -1.0, 1.0)
    return np.asarray(signs_SC * signs_SC[:, :1])


def _apart(gram_SCC: NDArray[np.float64], gains_SC: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which channels have to be heard by themselves, [S, C]: audible, and neither in the mix nor in a louder one."""
    power_SC = np.einsum("scc->sc", gram_SCC)
    with_mix_SC = np.einsum("scd,sd->sc", gram_SCC, gains_SC)
    mix_S = np.einsum("sc,sc->s", with_mix_SC, gains_SC)
    audible_SC = (power_SC > AUDIBLE) & (power_SC > MASKED * power_SC.max(1, keepdims=True))
    apart_SC = audible_SC & (with_mix_SC**2 < TOLD * power_SC * mix_S[:, None])
    for stretch in np.flatnonzero(apart_SC.sum(1) > 1):
        _keep_different(apart_SC[stretch], gram_SCC[stretch])
    return np.asarray(apart_SC)


def _keep_different(apart_C: NDArray[np.bool_], gram_CC: NDArray[np.float64]) -> None:
    """Of channels that agree among each other leave the loudest; in place."""
    kept: list[int] = []
    for channel in sorted(np.flatnonzero(apart_C).tolist(), key=lambda c: -gram_CC[c, c]):
        told = any(gram_CC[channel, k] ** 2 >= TOLD * gram_CC[channel, channel] * gram_CC[k, k] for k in kept)
        apart_C[channel] = not told
        kept += [] if told else [channel]


def _apply(sound_CN: Floats, gains_SC: NDArray[np.float64]) -> Floats:
    """Add channels up; where the gains change from one stretch to the next, they do so gradually."""
    if (gains_SC == gains_SC[0]).all():
        return np.asarray(gains_SC[0].astype(np.float32) @ sound_CN)
    edges = np.arange(1, len(gains_SC)) * STRETCH
    at = np.stack([edges - FADE, edges + FADE], axis=1).reshape(-1)
    where = np.arange(sound_CN.shape[1])
    total = np.zeros(sound_CN.shape[1], np.float32)
    for channel, gains_S in zip(sound_CN, gains_SC.T, strict=True):
        total += channel * np.interp(where, at, np.repeat(gains_S, 2)[1:-1]).astype(np.float32)
    return total


def _masked(samples: Floats, wanted_S: NDArray[np.bool_]) -> Samples:
    """The samples of the wanted stretches and those around them, silence elsewhere."""
    return _whole(samples * np.repeat(_dilated(wanted_S), STRETCH)[: len(samples)])


def _dilated(wanted_S: NDArray[np.bool_]) -> NDArray[np.bool_]:
    places = np.flatnonzero(wanted_S)
    return np.array([np.abs(places - n).min(initial=AROUND + 1) <= AROUND for n in range(len(wanted_S))])


def _whole(samples: Floats) -> Samples:
    return np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
