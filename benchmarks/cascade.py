"""Keyframes first: whole nights that look at keyframes and then at what those leave in doubt, against dense nights.

Both are the product's own nights without speech, text and OCR, in alternating order; starting the workers of either
pass, judging and the report count. What the cascade loses is counted on distinct clips, copies left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cascades.clips import KEYFRAME_EVERY, Clip, cut
from benchmarks.cascades.footage import LOWS, Footage, notes, table
from benchmarks.cascades.loss import findings, seen
from benchmarks.registry import Result
from benchmarks.videos import many
from jobs.looking import AT_KEYFRAMES, LOOKING, keyframes_of
from jobs.night import run_night
from jobs.recipes import Recipe
from model_registry.bundles import bundle_named, pin
from model_registry.models.imagenet_weapons import ImageNetWeapons
from pipelines.decode.limits import Limits, Sampling
from pipelines.manifest import manifest_of_paths
from pipelines.pieces import Pieces
from pipelines.places import read_table
from pipelines.risk.policy import load_policy

VIDEOS = 300
POLICY = "default"
OTHER_EVERY_MS = (2000,)  # beside the policy's own


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Alternate nights, then compare what the last ones saw."""
    bundle = pin(bundle_named("lite").without("speech", "ocr"))
    recipe = Recipe(bundle, load_policy(POLICY), Sampling(frame_side=bundle.frame_side), Limits())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = cut(videos, folder / "clips")
        uploads = many([clip.path for clip in clips], max(VIDEOS, len(clips)), folder / "videos")
        rounds = [_round(uploads, recipe, folder / str(turn), turn) for turn in range(repeat)]
        footage = _footage(clips, uploads, recipe, folder, folder / str(repeat - 1))
        rule = recipe.policy.keyframes
        lost = footage.lost(findings(footage.dense, LOWS[0]), LOWS[0], rule)
        said = [*notes(footage, rule), table(footage, recipe.policy)]
    metrics = {name: [one[name] for one in rounds] for name in rounds[0]} | {"recall_loss": [lost.share]}
    setup = {
        "videos": len(uploads),
        "distinct": len(clips),
        "bundle": bundle.id,
        "policy": recipe.policy.id,
        "sampling": recipe.sampling.id,
        "first_pass": keyframes_of(recipe).sampling.id,
        **vars(rule),
        "frames_between_keyframes": KEYFRAME_EVERY,
    }
    return Result(metrics, setup, said)


def _round(uploads: Sequence[Path], recipe: Recipe, folder: Path, turn: int) -> dict[str, float]:
    """One night of each kind; who begins changes with the turn."""
    kinds = [("dense", recipe), ("first", replace(recipe, keyframes_first=True))]
    nights = {name: _night(uploads, own, folder / name) for name, own in kinds[:: -1 if turn % 2 else 1]}
    dense, cascade = nights["dense"], nights["first"]
    return {
        "videos_a_second_ratio": dense["run"]["seconds"] / cascade["run"]["seconds"],
        "processor_ratio": dense["processor_s"] / cascade["processor_s"],
        "dense_s": dense["run"]["seconds"],
        "cascade_s": cascade["run"]["seconds"],
        "first_pass_s": cascade["keyframes"]["steps_s"][AT_KEYFRAMES],
        "second_pass_s": cascade["keyframes"]["steps_s"][LOOKING],
        "went_on": cascade["keyframes"]["went_on"] / len(uploads),
        "flagged_by_dense": _flagged(dense),
        "flagged_by_cascade": _flagged(cascade),
    }


def _night(uploads: Sequence[Path], recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Its summary, and the processor time of this process and all that it started."""
    manifest, before = manifest_of_paths([str(path) for path in uploads], None), _processor_s()
    summary = run_night("bench cascade", folder.name, manifest, recipe, folder).summary
    return summary | {"processor_s": _processor_s() - before}


def _processor_s() -> float:
    """Of a process that has ended its parent knows."""
    here, total = psutil.Process(), 0.0
    for process in [here, *here.children(recursive=True)]:
        with suppress(psutil.Error):  # it ended meanwhile
            spent = process.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def _flagged(summary: dict[str, Any]) -> float:
    found: dict[str, int] = summary["counts"]
    return (found["review"] + found["block"]) / found["videos"]


def _footage(clips: Sequence[Clip], uploads: Sequence[Path], recipe: Recipe, folder: Path, last: Path) -> Footage:
    """What the last nights saw of each clip, whose first copies are the first uploads, and other passes besides."""
    known = read_table(last / "dense" / "features" / "contents.parquet")
    content = dict(zip(known["uri"].to_pylist(), known["content_sha256"].to_pylist(), strict=True))
    firsts = uploads[: len(clips)]
    sources = {content[str(path)]: clip.source for path, clip in zip(firsts, clips, strict=True)}
    pieces = {recipe.policy.keyframes.every_ms: _pieces(keyframes_of(recipe), last / "first")}
    for every_ms in OTHER_EVERY_MS:
        rule = replace(recipe.policy.keyframes, every_ms=every_ms)
        own = keyframes_of(replace(recipe, policy=replace(recipe.policy, keyframes=rule)))
        _night(firsts, own, folder / f"every-{every_ms}")
        pieces[every_ms] = _pieces(own, folder / f"every-{every_ms}")
    (head,) = (ref for ref in recipe.bundle.heads if ref.name == ImageNetWeapons.spec.name)
    classifier = ImageNetWeapons.load({name: Path(path) for name, path in head.weights}, "cpu")
    dense = seen(_pieces(recipe, last / "dense"), list(sources), classifier)
    return Footage(sources, dense, pieces, {ms: seen(one, list(sources), classifier) for ms, one in pieces.items()})


def _pieces(recipe: Recipe, night: Path) -> Pieces:
    return Pieces(night / "features" / recipe.features)
