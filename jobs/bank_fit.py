"""Make an empty bank with a descriptor space of its own, fitted on your videos or pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from jobs import progress
from model_registry.bundles import PinnedBundle, bundle_named, pin
from model_registry.errors import UsageError
from model_registry.model import Item
from pipelines.contents import Hash
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.folder import is_bank
from pipelines.copyright.picture.fit import embed_edits, fit_space
from pipelines.copyright.picture.frame_edits import EDITS
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.stage import Decode
from pipelines.manifest import manifest_of_paths
from pipelines.predict import loaded
from pipelines.rows import SOURCES, windows_of_frames
from pipelines.stage import run_local

APART_MS = 10_000  # between frames of one video: neighbours teach nothing new


def fit(args: argparse.Namespace) -> Bank:
    """Embed frames plain and edited, fit, and create the bank; raises UsageError where there is one already."""
    if is_bank(args.bank):
        raise UsageError(f"{args.bank} is a bank already, and its references were described in its own space")
    bundle = pin(bundle_named(args.bundle), args.alias, download=not args.offline)
    pictures = list(_pictures(manifest_of_paths(args.paths), bundle, args.pictures))
    progress.say(f"fitting on {len(pictures)} frames, each plain and under every edit")
    model = loaded(bundle.tower, "cpu", args.threads)
    with progress.bar("embedding edits", len(EDITS)) as bar:
        plain_NE, edited = embed_edits(model, pictures, lambda: bar.advance(1))
    return Bank.create(args.bank, fit_space(bundle.tower.source, plain_NE, edited))


def _pictures(manifest: pa.Table, bundle: PinnedBundle, most: int) -> Iterator[Item]:
    """Frames some seconds apart, each file in its turn, until there are enough."""
    sampling = Sampling(interval_ms=APART_MS, frame_side=bundle.frame_side)
    share = max(1, most // manifest.num_rows)
    given = 0
    with progress.bar("decoding", manifest.num_rows) as bar:
        for row in manifest.select(["video_id", "uri"]).to_batches(max_chunksize=1):
            frames = _frames(pa.Table.from_batches([row]), sampling)[:share]
            yield from frames[: most - given]
            given += len(frames)
            bar.advance(1, f"{min(given, most)} frames")


def _frames(row: pa.Table, sampling: Sampling) -> Sequence[Item]:
    """What can be decoded of one file; damage leaves fewer."""
    contents = run_local([Hash(limits=Limits())], row).select(SOURCES.names)
    if not contents["content_sha256"][0].is_valid:
        return []
    windows = run_local([Decode(sampling=sampling, limits=Limits())], contents)
    return [np.array(frame) for frames_THWC in windows_of_frames(windows) for frame in frames_THWC]
