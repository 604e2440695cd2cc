"""Named configurations: which models, which frames, which limits, and how the work lies on the machines."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.arguments import add_interval, add_lexicons, add_models
from model_registry.bundles import PinnedBundle, bundle_named, pin
from model_registry.errors import UsageError
from pipelines.copyright.night import Machine as MatchMachine
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines
from pipelines.pieces import FORMAT
from pipelines.risk.policy import Policy, load_policy
from pipelines.run import on_ray
from pipelines.text.night import Machine as ReadMachine
from pipelines.text.words.lexicon import Lexicons, with_shipped

MOST_ROWS_A_TASK = 16
MODEL_SHARE = 0.43  # of the cores, on a machine without a GPU
ACTOR_CPUS = 0.5
COMMIT_CPUS = 0.05
MEMORY_SHARE = 0.5  # of what is free, for the models of all engines
CONTENTS_AN_ENGINE = 8
SKIPPABLE = ("speech", "ocr", "text")


@dataclass(frozen=True)
class Recipe:
    """All a run depends on; its ids name what may be kept from an earlier run."""

    bundle: PinnedBundle
    policy: Policy
    sampling: Sampling
    limits: Limits
    bank: Path | None = None
    lexicons: Lexicons | None = None  # None: texts are not read
    keyframes_first: bool = False  # and densely only where the policy says that keyframes leave a doubt
    copies: bool = True  # keep what matching with a bank needs
    clusters: int | None = None  # nights before this one among which reposts are looked for; None: not looked for

    def __post_init__(self) -> None:
        """Refuse what keyframes cannot do."""
        if self.keyframes_first and self.bank:
            raise UsageError("--keyframes-first cannot go with --bank: copies are found in densely sampled frames")
        if self.keyframes_first and self.clusters is not None:
            raise UsageError("--keyframes-first cannot go with --clusters: reposts are found in densely sampled frames")
        if self.keyframes_first and self.sampling.keyframes_only:
            raise UsageError("--keyframes-first cannot go with --keyframes-only: its second pass is dense")

    @property
    def features(self) -> str:
        """Name of the folder of features: other models that look or listen, sampling or format get another."""
        kept = "" if self.copies else "-no-copies"
        return f"{self.bundle.features_id}/{self.sampling.id.replace('/', '-')}-v{FORMAT}{kept}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `recall`, `scan` and `demo` share."""
    group = parser.add_argument_group("what to run")
    add_models(group)
    group.add_argument("--policy", default="default", help="a shipped policy or a TOML file (default: default)")
    group.add_argument("--bank", type=Path, metavar="DIR", help="a reference bank to match with: see `nightjar bank`")
    add_lexicons(group)
    group.add_argument("--skip", nargs="+", action="extend", choices=SKIPPABLE, default=[], help="leave these out")
    add_interval(group)
    group.add_argument("--keyframes-only", action="store_true", help="decode keyframes only, and judge by those")
    first = "look at keyframes, and densely only where the policy's [keyframes] says that they leave a doubt"
    group.add_argument("--keyframes-first", action="store_true", help=first)


def from_arguments(args: argparse.Namespace) -> Recipe:
    """Resolve names to pinned versions, once, on the driver."""
    policy = load_policy(args.policy)
    bundle = pin(bundle_named(args.bundle).without(*args.skip), args.alias, download=not args.offline)
    sampling = Sampling(
        interval_ms=round(args.interval * 1000),
        frame_side=bundle.frame_side,
        keyframes_only=args.keyframes_only,
    )
    if args.bank:
        _check_bank(args.bank, bundle)
    lexicons = None if "text" in args.skip else with_shipped(args.lexicon)
    return Recipe(bundle, policy, sampling, Limits(), args.bank, lexicons, args.keyframes_first)


def _check_bank(folder: Path, bundle: PinnedBundle) -> None:
    from pipelines.copyright.bank.reader import BankReader

    BankReader.open(folder).space.demand(bundle.tower.source)


def spread(resources: Mapping[str, float], bundle: PinnedBundle, contents: int) -> Machines:
    """Spread the work over a cluster where one was joined, else over the cores of this machine."""
    return machines_for(resources, bundle) if on_ray() else engines_for(resources, bundle, contents)


def engines_for(resources: Mapping[str, float], bundle: PinnedBundle, contents: int) -> Machines:
    """An engine a core, each with one thread for its models: what scales best, where memory allows.

    Few contents get fewer engines of more threads, because each engine loads the models: on two cores both ways took
    equally long for 12 short videos.
    """
    cores = max(1, int(resources.get("CPU", 1.0)))
    models_mb = sum(ref.spec.memory_mb for ref in bundle.models)
    room = resources.get("memory", math.inf) * MEMORY_SHARE / (max(1, models_mb) << 20)
    engines = max(1, int(min(cores, room, contents // CONTENTS_AN_ENGINE)))
    return Machines(
        model_actors=engines,
        model_threads=max(1, cores // engines),
        decode_threads=max(1, cores // max(1, contents)),
    )


def machines_for(resources: Mapping[str, float], bundle: PinnedBundle) -> Machines:
    """Spread the work over what a cluster has: one model actor a GPU share, the CPUs decode.

    Without a GPU the models get somewhat under half of the cores, as `lite` spends its time; decode tasks are one
    more than there are cores, so that none waits while another hands over its frames.
    """
    cpus, gpus = resources.get("CPU", 1.0), resources.get("GPU", 0.0)
    if gpus:
        return _with_gpus(cpus, gpus, bundle)
    actors = max(1, int(cpus // 4))
    threads = max(1, round(MODEL_SHARE * cpus / actors))
    left = cpus - actors * ACTOR_CPUS - COMMIT_CPUS
    return Machines(
        model_actors=actors,
        model_threads=threads,
        model_cpus=ACTOR_CPUS,
        decode_cpus=round(left / (cpus + 1), 2),
        commit_cpus=COMMIT_CPUS,
    )


def _with_gpus(cpus: float, gpus: float, bundle: PinnedBundle) -> Machines:
    """Eyes and ears in actors of their own, as many pairs as the GPUs hold; half of the CPUs are left to decode."""
    ears = sum(ref.spec.gpus for ref in (bundle.voice_activity, bundle.speech, bundle.speaker) if ref)
    eyes = sum(ref.spec.gpus for ref in (bundle.tower, *bundle.frame_models, *bundle.heads, bundle.ocr) if ref)
    eyes, ears = min(1.0, eyes) or 1.0, min(1.0, ears)
    pairs = max(1, int(gpus / (eyes + ears)))
    own = min(1.0, 0.5 * cpus / (pairs * (2 if ears else 1)))
    if eyes + ears > gpus:
        eyes, ears = eyes * gpus / (eyes + ears), ears * gpus / (eyes + ears)
    return Machines(
        model_actors=pairs,
        model_gpus=eyes,
        model_cpus=own,
        speech_actors=pairs if ears else 0,
        speech_gpus=ears,
        speech_cpus=own,
        decode_cpus=0.9,
    )


def read_machine(resources: Mapping[str, float]) -> ReadMachine:
    """Texts are read on the CPUs, when frames and sound are done: an actor on each core but one."""
    return ReadMachine(actors=max(1, int(resources.get("CPU", 1.0)) - 1))


def match_machine(resources: Mapping[str, float]) -> MatchMachine:
    """One actor a GPU, or one for every two cores: a product of matrices uses both."""
    if gpus := int(resources.get("GPU", 0)):
        return MatchMachine(actors=gpus, gpus=1.0)
    cpus = resources.get("CPU", 1.0)
    return MatchMachine(actors=max(1, int(cpus // 2)), cpus=min(2.0, cpus))


def rows_a_task(contents: int, cpus: float) -> int:
    """Videos a decode task takes: many for long nights, few when there are few, so that no core waits."""
    return max(1, min(MOST_ROWS_A_TASK, int(contents / (8 * cpus))))
