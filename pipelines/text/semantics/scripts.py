"""Heads on n-grams, fitted script by script: Chinese and everything else share no run of characters, nor a scale.

Each script has its own regression and its own evidence; scores are then moved so that both settle from the same score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model_registry.models.text.heads import NEVER, Array, Heads
from model_registry.models.text.ngram_heads import HAN, SCRIPTS
from model_registry.models.text.ngrams import NGRAMS
from pipelines.text.semantics.calibrate import REGISTERS, Floats
from pipelines.text.semantics.features import of_ngrams
from pipelines.text.semantics.fit import HeldOut, cross_validate, fit, held_out
from pipelines.text.semantics.labelled import LabelledLine

BEYOND = 1.0  # how far above every logit seen a head settles that has not shown that it may
UNREACHED = 0.999  # from which score on labels settle that no script has shown


@dataclass(frozen=True)
class Fitted:
    """Heads of each script, and what they say of lines that they had not seen, with these lines in the same order."""

    heads: Mapping[str, Heads]
    held: HeldOut
    lines: Sequence[LabelledLine]


def fit_scripts(lines: Sequence[LabelledLine], labels: Sequence[str], limits: Mapping[str, float]) -> Fitted:
    """Fit every script on its own lines; raises UsageError where one has too few of a label."""
    parts = {script: [line for line in lines if script_of(line.text) == script] for script in SCRIPTS}
    features = {script: of_ngrams(own) for script, own in parts.items()}
    logits = {
        script: replace(cross_validate(features[script], own, labels, limits), least=1) for script, own in parts.items()
    }
    heads = {script: fit(features[script], own, logits[script], NGRAMS) for script, own in parts.items()}
    held = [held_out(logits[script]) for script in SCRIPTS]
    joined = (np.concatenate([getattr(each, name) for each in held]) for name in tuple(vars(held[0]))[1:])
    tops = {script: of.logit_NL.max(axis=0) for script, of in logits.items()}
    return Fitted(aligned(heads, tops), HeldOut(tuple(labels), *joined), [one for own in parts.values() for one in own])


def script_of(text: str) -> str:
    """Which heads read a text."""
    return SCRIPTS[0] if HAN.search(text) else SCRIPTS[1]


def aligned(heads: Mapping[str, Heads], top_L: Mapping[str, Floats]) -> dict[str, Heads]:
    """Move each script's scores so that all settle from one score, and give all the same band.

    The lower end and the doubt are those of the more careful script. A label that some script has not shown has scores
    there that stay below; one that none has shown settles nowhere.
    """
    shown = _joined([each.shown for each in heads.values()])
    shown_L = np.array([len(of) >= REGISTERS for of in shown])
    high_SL = np.where(shown_L, [each.band_L2[:, 1] for each in heads.values()], NEVER)
    common_L = np.where(shown_L, np.where(high_SL < NEVER, high_SL, 0).max(axis=0), UNREACHED)
    moved = {
        script: _moved(each, common_L, high_L, top_L[script])
        for (script, each), high_L in zip(heads.items(), high_SL, strict=True)
    }
    low_L = np.min([each.band_L2[:, 0] for each in moved.values()], axis=0)
    high_L = np.where(shown_L, common_L, NEVER)
    doubt_L = np.clip(np.max([each.doubt_L for each in moved.values()], axis=0), low_L, high_L)
    same = {
        "band_L2": np.stack([low_L, high_L], axis=1).astype(np.float32),
        "doubt_L": np.minimum(doubt_L, high_L).astype(np.float32),
        "denies": _joined([each.denies for each in heads.values()]),
        "shown": tuple(of if enough else () for of, enough in zip(shown, shown_L, strict=True)),
    }
    return {script: replace(each, **same) for script, each in moved.items()}


def _joined(names: Sequence[tuple[tuple[str, ...], ...]]) -> tuple[tuple[str, ...], ...]:
    """The registers of every script, label by label."""
    return tuple(tuple(dict.fromkeys(name for of in label for name in of)) for label in zip(*names, strict=True))


def _moved(heads: Heads, common_L: Floats, high_L: Floats, top_L: Floats) -> Heads:
    """The same heads with the score `common_L` where each settled, or beyond its highest logit where it never did."""
    beyond_L = heads.slope_L * (top_L + BEYOND) + heads.offset_L
    settles_L = np.where(high_L < NEVER, _logit(high_L), beyond_L)
    shift_L = _logit(common_L) - settles_L
    ends = [_sigmoid(_logit(own_L) + shift_L) for own_L in (heads.band_L2[:, 0], heads.doubt_L)]
    band_L2 = np.stack([np.minimum(ends[0], common_L), common_L], axis=1).astype(np.float32)
    doubt_L = np.clip(ends[1].astype(np.float32), band_L2[:, 0], band_L2[:, 1])
    return replace(heads, offset_L=(heads.offset_L + shift_L).astype(np.float32), band_L2=band_L2, doubt_L=doubt_L)


def _logit(score_L: Array | Floats) -> Floats:
    clipped = np.clip(score_L.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _sigmoid(logit_L: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit_L)))
