"""Labelled lines that nothing was fitted on: a fifth of the families of every set, and heads fitted on the rest."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model_registry.bundles import PinnedBundle
from model_registry.model import ModelRef, predict_all
from model_registry.models.text.heads import Heads
from pipelines.predict import loaded
from pipelines.text.semantics.features import of_embeddings
from pipelines.text.semantics.fit import cross_validate, fit
from pipelines.text.semantics.labelled import LabelledLine, read_lines, shipped
from pipelines.text.semantics.scripts import fit_scripts
from pipelines.text.semantics.sets import TextSet, fitting, lines_of, text_sets
from pipelines.text.words.characters import simplified

ONE_IN = 5  # families that are held out


@dataclass(frozen=True)
class Split:
    """Lines to fit on, set by set with our own first, and lines to measure on."""

    fitted: Sequence[Sequence[LabelledLine]]
    measured: Sequence[LabelledLine]
    limits: Mapping[str, float]  # false alarms that each set may have, as `nightjar models fit` takes them


def split(folder: Path) -> Split:
    """Deal whole families; harmless packages are all fitted on. Raises UsageError where one is absent."""
    sets: list[TextSet] = text_sets()
    every = [read_lines(shipped()), *(lines_of(each, folder) for each in sets)]
    labelled = [True, *(bool(each.labels) for each in sets)]
    fitted, measured = list[list[LabelledLine]](), list[LabelledLine]()
    for lines, told in zip(every, labelled, strict=True):
        fitted.append([line for line in lines if not (told and is_held_out(line))])
        measured += [line for line in lines if told and is_held_out(line)]
    return Split(fitted, measured, {each.name: each.most_false for each in sets})


def is_held_out(line: LabelledLine) -> bool:
    """Whether a line is measured on: by the hash of its family."""
    return zlib.crc32(f"measured {line.group}".encode()) % ONE_IN == 0


def refitted(bundle: PinnedBundle, parts: Split, folder: Path) -> PinnedBundle:
    """The bundle with its text heads fitted on the rest alone, as those that come with it; written to `folder`."""
    fresh = {ref.name: _refitted(ref, bundle.text_tower, parts, folder) for ref in bundle.text_heads}
    return replace(bundle, others=tuple(fresh.get(ref.name, ref) for ref in bundle.others))


def _refitted(ref: ModelRef, tower: ModelRef | None, parts: Split, folder: Path) -> ModelRef:
    lines = fitting(parts.fitted[0], parts.fitted[1:], ref.spec)
    if ref.spec.tower and tower:
        files = dict(zip(ref.spec.artifacts, [_embedded(ref, tower, lines, parts.limits)], strict=True))
    else:
        heads = fit_scripts(lines, ref.spec.labels, parts.limits).heads
        files = dict(zip(ref.spec.artifacts, heads.values(), strict=True))
    paths = {name: folder / f"{name}.npz" for name in files}
    for name, made in files.items():
        made.write(paths[name])
    return replace(ref, weights=tuple((name, str(path)) for name, path in paths.items()))


def _embedded(ref: ModelRef, tower: ModelRef, lines: Sequence[LabelledLine], limits: Mapping[str, float]) -> Heads:
    vectors = predict_all(loaded(tower, "cpu", 1), [simplified(line.text) for line in lines])
    features = of_embeddings(np.stack(list(vectors)))
    return fit(features, lines, cross_validate(features, lines, ref.spec.labels, limits), tower.source)
