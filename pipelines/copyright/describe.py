"""From files to fingerprints: the pipeline behind `bank add`. What was described before a kill is not done again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from model_registry.bundles import PinnedBundle
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.space import Space
from pipelines.copyright.picture.views import DescribeViews
from pipelines.copyright.sound.listen import Listen
from pipelines.copyright.stored import stored_fingerprints
from pipelines.copyright.verification.stills import NO_STILLS, stored_stills
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.stage import Decode
from pipelines.nightly import SOURCE, Machines
from pipelines.pieces import Commit, Pieces
from pipelines.predict import Predict
from pipelines.risk.evidence import KeepStills
from pipelines.rows import WINDOWS
from pipelines.run import Advance, look, unsettled
from pipelines.stage import Drop, Stage, Together, check

KEPT = ("views", "peaks", "stills")
Described = tuple[str, Fingerprint, str | None, str | None]  # sha256, fingerprint, error code, error message


def describe(
    contents: pa.Table,
    bundle: PinnedBundle,
    space: Space,
    sampling: Sampling,
    limits: Limits,
    machines: Machines,
    staging: Path,
    advance: Advance,
) -> Iterator[Described]:
    """Decode and describe contents (content_sha256, uri, bytes); yields each with descriptors in `space`."""
    space.demand(bundle.tower.source)
    stages = copy_stages(bundle, sampling, limits, machines, staging, whole=True)
    look(stages, unsettled(contents, Pieces(staging).settled()), 1, advance)
    pieces = Pieces(staging)
    for sha256 in dict.fromkeys(contents["content_sha256"].to_pylist()):
        if content := pieces.contents.get(sha256):
            raw = replace(
                stored_fingerprints(pieces, [sha256])[sha256],
                stills=stored_stills(pieces, [sha256]).get(sha256, NO_STILLS),
            )
            yield sha256, raw.within(space), content.error_code, content.error_message


def copy_stages(
    bundle: PinnedBundle, sampling: Sampling, limits: Limits, machines: Machines, staging: Path, *, whole: bool
) -> list[Stage]:
    """The night's copyright half: views, landmarks and stills, and no opinion. References want `whole`."""
    device, threads = machines.device, machines.model_threads
    stages: list[Stage] = [
        Decode(sampling=sampling, limits=limits, cpus=machines.decode_cpus),
        Together.of(
            Predict.of(bundle.tower, "frames_THWC", "embedding_TD", device, threads),
            DescribeViews(ref=bundle.tower, whole=whole, device=device, threads=threads),
            KeepStills(),
            Drop.of("frames_THWC"),
            Listen(),
            source=WINDOWS.names,
            actors=machines.model_actors,
            cpus=machines.model_cpus,
            gpus=machines.model_gpus,
        ),
        Commit.of(KEPT, folder=str(staging.absolute()), cpus=machines.commit_cpus),
    ]
    check(stages, SOURCE)
    return stages
