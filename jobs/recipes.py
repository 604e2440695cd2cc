"""Named configurations: which models, which frames, which limits, and how the work lies on the machines."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.arguments import add_interval, add_models
from model_registry.bundles import PinnedBundle, bundle_named, pin
from pipelines.copyright.night import Machine as MatchMachine
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines
from pipelines.pieces import FORMAT
from pipelines.risk.policy import Policy, load_policy

MOST_ROWS_A_TASK = 16
MODEL_SHARE = 0.43  # of the cores, on a machine without a GPU
ACTOR_CPUS = 0.5
COMMIT_CPUS = 0.05


@dataclass(frozen=True)
class Recipe:
    """All a run depends on; its ids name what may be kept from an earlier run."""

    bundle: PinnedBundle
    policy: Policy
    sampling: Sampling
    limits: Limits
    bank: Path | None = None

    @property
    def features(self) -> str:
        """Name of the folder of features: another bundle, sampling or format gets another."""
        return f"{self.bundle.id}/{self.sampling.id.replace('/', '-')}-v{FORMAT}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `recall`, `scan` and `demo` share."""
    group = parser.add_argument_group("what to run")
    add_models(group)
    group.add_argument("--policy", default="default", help="a shipped policy or a TOML file (default: default)")
    group.add_argument("--bank", type=Path, metavar="DIR", help="a reference bank to match with: see `nightjar bank`")
    add_interval(group)
    group.add_argument("--keyframes-only", action="store_true", help="a cheap first pass: decode keyframes only")


def from_arguments(args: argparse.Namespace) -> Recipe:
    """Resolve names to pinned versions, once, on the driver."""
    policy = load_policy(args.policy)
    bundle = pin(bundle_named(args.bundle), args.alias, download=not args.offline)
    sampling = Sampling(
        interval_ms=round(args.interval * 1000),
        frame_side=bundle.frame_side,
        keyframes_only=args.keyframes_only,
    )
    if args.bank:
        _check_bank(args.bank, bundle)
    return Recipe(bundle, policy, sampling, Limits(), args.bank)


def _check_bank(folder: Path, bundle: PinnedBundle) -> None:
    from pipelines.copyright.bank.reader import BankReader

    BankReader.open(folder).space.demand(bundle.tower.source)


def machines_for(resources: Mapping[str, float], bundle: PinnedBundle) -> Machines:
    """Spread the work over what a cluster has: one model actor a GPU share, the CPUs decode.

    Without a GPU the models get somewhat under half of the cores, as `lite` spends its time; decode tasks are one
    more than there are cores, so that none waits while another hands over its frames.
    """
    cpus, gpus = resources.get("CPU", 1.0), resources.get("GPU", 0.0)
    if gpus:
        share = min(1.0, sum(ref.spec.gpus for ref in bundle.models)) or 1.0
        actors = max(1, int(gpus / share))
        return Machines(
            model_actors=actors, model_gpus=share, model_cpus=min(1.0, 0.5 * cpus / actors), decode_cpus=0.9
        )
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


def match_machine(resources: Mapping[str, float]) -> MatchMachine:
    """One actor a GPU, or one for every two cores: a product of matrices uses both."""
    if gpus := int(resources.get("GPU", 0)):
        return MatchMachine(actors=gpus, gpus=1.0)
    cpus = resources.get("CPU", 1.0)
    return MatchMachine(actors=max(1, int(cpus // 2)), cpus=min(2.0, cpus))


def rows_a_task(contents: int, cpus: float) -> int:
    """Videos a decode task takes: many for long nights, few when there are few, so that no core waits."""
    return max(1, min(MOST_ROWS_A_TASK, int(contents / (8 * cpus))))
