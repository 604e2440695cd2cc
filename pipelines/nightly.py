"""The whole night as one list: where a frame enters, where it is scored, where it is committed."""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.bundles import PinnedBundle
from pipelines.copyright.picture.views import DescribeViews
from pipelines.copyright.sound.listen import Listen
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.stage import Decode
from pipelines.pieces import Commit
from pipelines.predict import Predict
from pipelines.risk.evidence import Strip, Thumbnails
from pipelines.risk.signals import Collect
from pipelines.rows import SOURCES, WINDOWS
from pipelines.stage import Stage, Together, check

SOURCE = tuple(SOURCES.names)


@dataclass(frozen=True)
class Machines:
    """How the work is spread: what a task or an actor takes of the cluster."""

    model_actors: int = 1
    model_cpus: float = 0.5
    model_threads: int = 1
    model_gpus: float = 0.0
    decode_cpus: float = 0.75
    commit_cpus: float = 0.1

    @property
    def device(self) -> str:
        """Where models live."""
        return "cuda" if self.model_gpus else "cpu"


def nightly_stages(
    bundle: PinnedBundle, sampling: Sampling, limits: Limits, machines: Machines, folder: str
) -> list[Stage]:
    """Decode once, embed once, many heads: frames reach one actor and no further."""
    device, threads = machines.device, machines.model_threads
    heads = tuple((ref, f"scores/{ref.name}") for ref in bundle.heads)
    beside = tuple((ref, f"scores/{ref.name}") for ref in bundle.frame_models)
    stages: list[Stage] = [
        Decode(sampling=sampling, limits=limits, cpus=machines.decode_cpus),
        Together.of(
            Predict.of(bundle.tower, "frames_THWC", "embedding_TD", device, threads),
            *[Predict.of(ref, "frames_THWC", column, device, threads) for ref, column in beside],
            *[Predict.of(ref, "embedding_TD", column, device, threads) for ref, column in heads],
            Collect.of((*beside, *heads)),
            DescribeViews(ref=bundle.tower, device=device, threads=threads),
            Strip(),
            Thumbnails(),
            Listen(),
            source=WINDOWS.names,
            actors=machines.model_actors,
            cpus=machines.model_cpus,
            gpus=machines.model_gpus,
        ),
        Commit(folder=folder, cpus=machines.commit_cpus),
    ]
    check(stages, SOURCE)
    return stages
