"""The whole night as one list: where a frame enters, where it is scored, where it is committed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from model_registry.bundles import PinnedBundle
from pipelines.copyright.picture.views import DescribeViews
from pipelines.copyright.sound.listen import Listen
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.stage import Decode
from pipelines.guard import Guarded
from pipelines.ocr.shown import ReadFrames
from pipelines.pieces import Commit
from pipelines.predict import Predict
from pipelines.risk.evidence import KeepStills, Thumbnails
from pipelines.risk.signals import Collect
from pipelines.rows import LINE, PEAK, SOUND_COLUMNS, SOURCES, VOICE, WINDOWS
from pipelines.speech.heard import Heard
from pipelines.speech.transcribe import Transcribe
from pipelines.speech.voices import KnowVoices
from pipelines.stage import Drop, Stage, Together, Work, check

SOURCE = tuple(SOURCES.names)


@dataclass(frozen=True)
class Machines:
    """How the work is spread: what a task or an actor takes of the cluster."""

    model_actors: int = 1
    model_cpus: float = 0.5
    model_threads: int = 1
    model_gpus: float = 0.0
    speech_actors: int = 0  # 0: what is said is written down where the frames are looked at
    speech_cpus: float = 0.5
    speech_gpus: float = 0.0
    decode_cpus: float = 0.75
    decode_threads: int = 1  # a video
    commit_cpus: float = 0.1

    @property
    def device(self) -> str:
        """Where models live."""
        return "cuda" if self.model_gpus else "cpu"


def nightly_stages(
    bundle: PinnedBundle, sampling: Sampling, limits: Limits, machines: Machines, folder: str, *, copies: bool = True
) -> list[Stage]:
    """Decode once, embed once, many heads: frames reach one actor and no further.

    Without `copies` that is left out which only matching with a bank reads: pictures inside of frames, and landmarks.
    """
    looking, listening = _looking(bundle, machines, copies), _listening(bundle, machines, copies)
    sampling = replace(sampling, threads=machines.decode_threads, codes=True)
    stages: list[Stage] = [Decode(sampling=sampling, limits=limits, cpus=machines.decode_cpus)]
    stages += [Guarded.over(pool, attempts_of(folder)) for pool in _pools(looking, listening, machines)]
    stages.append(Commit(folder=folder, cpus=machines.commit_cpus))
    check(stages, SOURCE)
    return stages


def attempts_of(folder: str) -> str:
    """Where the workers that write features to this folder or URI keep their journal."""
    return f"{folder.rstrip('/')}/attempts"


def _looking(bundle: PinnedBundle, machines: Machines, copies: bool) -> list[Stage]:
    """What reads frames; the last lets them go."""
    device, threads = machines.device, machines.model_threads
    heads = tuple((ref, f"scores/{ref.name}") for ref in bundle.heads)
    beside = tuple((ref, f"scores/{ref.name}") for ref in bundle.frame_models)
    return [
        Predict.of(bundle.tower, "frames_THWC", "embedding_TD", device, threads),
        *[Predict.of(ref, "frames_THWC", column, device, threads) for ref, column in beside],
        *[Predict.of(ref, "embedding_TD", column, device, threads) for ref, column in heads],
        Collect.of((*beside, *heads)),
        DescribeViews(ref=bundle.tower, inside=copies, device=device, threads=threads),
        ReadFrames(ref=bundle.ocr, device=device, threads=threads) if bundle.ocr else Nothing.of("shown", LINE),
        KeepStills(),
        Thumbnails(),
    ]


def _listening(bundle: PinnedBundle, machines: Machines, copies: bool) -> list[Stage]:
    """What reads sound; the last lets it go."""
    device, threads = machines.device, machines.model_threads
    last = [Listen()] if copies else [Nothing.of("peaks", PEAK), Drop.of(*SOUND_COLUMNS)]
    vad, speech, speaker = bundle.voice_activity, bundle.speech, bundle.speaker
    if not vad or not speech:
        return [Nothing.of("said", LINE), Nothing.of("voices", VOICE), *last]
    return [
        Transcribe(vad=vad, speech=speech, device=device, threads=threads),
        KnowVoices(ref=speaker, device=device, threads=threads) if speaker else Nothing.of("voices", VOICE),
        Heard(),
        *last,
    ]


def _pools(looking: list[Stage], listening: list[Stage], machines: Machines) -> list[Together]:
    """One actor pool for all, or another for speech, which on a GPU takes longer than all frames do."""
    first = partial(Together.of, cpus=machines.model_cpus, gpus=machines.model_gpus, actors=machines.model_actors)
    if not machines.speech_actors:
        return [first(*looking, *listening, source=WINDOWS.names)]
    eyes = first(*looking, source=WINDOWS.names)
    ears = Together.of(
        *listening,
        source=check([eyes], WINDOWS.names),
        actors=machines.speech_actors,
        cpus=machines.speech_cpus,
        gpus=machines.speech_gpus,
    )
    return [eyes, ears]


@dataclass(frozen=True, kw_only=True)
class Nothing(Stage):
    """An empty column: the bundle has no model for it."""

    struct: pa.StructType

    @classmethod
    def of(cls, column: str, struct: pa.StructType) -> Nothing:
        """Name the column and what it would be a list of."""
        return cls(writes=(column,), struct=struct)

    def open(self) -> Work:
        """Nothing to load."""
        return lambda table: [table.append_column(self.writes[0], pa.nulls(table.num_rows, pa.list_(self.struct)))]
