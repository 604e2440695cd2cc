"""A GPU in one call: parity with the CPU, towers against its matrix products, matching, listening, and its appetite.

CLIP's weights are random, of the real shape: their speed is that of real ones. Without CUDA nothing is measured and
the report says so. `python -m benchmarks.gpu --output DIR` needs neither Ray nor MLflow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.accelerator import others, parity, towers
from benchmarks.accelerator.rates import Sizes, matmul_tflops
from benchmarks.result import Chart, Result
from model_registry.catalog import CATALOG
from model_registry.errors import NightjarError
from model_registry.models.clip import ClipTower, ClipViTB32, ClipViTL14

TOWERS: Mapping[str, type[ClipTower]] = {"vit_b_32": ClipViTB32, "vit_l_14": ClipViTL14}
REPEAT = 3  # repetitions of the towers are enough: each is an average over seconds
OF_A_TOWER = ("images_per_s", "share_of_matmul", "pipeline_share", "gpu_mb")
METRICS = (
    *("parity_failures", "matmul_tflops", *(f"{tower}_{name}" for tower in TOWERS for name in OF_A_TOWER)),
    *("match_1e6_x_1e7_s", "speech_times_real_time", "decode_cores_a_gpu"),
)


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Measure the first GPU."""
    import torch

    if not torch.cuda.is_available():
        return Result(
            {}, unmeasured=dict.fromkeys(METRICS, "no GPU on this machine"), notes=["No GPU on this machine."]
        )
    return measure("cuda", videos, min(repeat, REPEAT), Sizes())


@dataclass
class Findings:
    """What was found so far; a part that lacks a package or weights leaves its rows empty with the reason."""

    metrics: dict[str, list[float]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)

    def add(self, **found: float) -> None:
        """One repetition."""
        for name, value in found.items():
            self.metrics.setdefault(name, []).append(value)

    def part(self, names: Sequence[str], work: Callable[[], None]) -> None:
        """Do what measures these metrics."""
        try:
            work()
        except (ImportError, NightjarError) as error:
            self.unmeasured |= dict.fromkeys(names, str(error))
            self.notes.append(f"Not measured: {', '.join(names)}: {error}")


def measure(
    device: str,
    videos: Sequence[Path],
    repeat: int,
    sizes: Sizes,
    architectures: Mapping[str, type[ClipTower]] = TOWERS,
    models: Sequence[str] = tuple(CATALOG),
) -> Result:
    """Measure a device; a test measures the CPU with small towers."""
    found = Findings()
    found.part(["parity_failures"], lambda: _parity(found, device, models))
    for _ in range(repeat):
        found.add(matmul_tflops=matmul_tflops(device, sizes.matrix, sizes.seconds))
    for name, model in architectures.items():
        names = [f"{name}_{metric}" for metric in OF_A_TOWER]
        found.part(names, lambda name=name, model=model: _tower(found, name, model, device, repeat, sizes))  # type: ignore[misc]
    found.part(["match_1e6_x_1e7_s"], lambda: _match(found, device, sizes))
    found.part(["speech_times_real_time"], lambda: _speech(found, device, videos))
    found.part(["decode_cores_a_gpu"], lambda: _appetite(found, videos))
    return Result(found.metrics, asdict(sizes) | {"device": device}, found.notes, found.charts, found.unmeasured)


def _parity(found: Findings, device: str, models: Sequence[str]) -> None:
    rows = [parity.compare(CATALOG[name], parity.loader_of(name), device) for name in models]
    found.add(parity_failures=sum(row.failed for row in rows), parity_models=sum(row.apart is not None for row in rows))
    found.notes.append(parity.table_of(rows, device))


def _tower(found: Findings, name: str, model: type[ClipTower], device: str, repeat: int, sizes: Sizes) -> None:
    """The network alone, and from frames in memory to embeddings in memory, by turns."""
    tower = towers.random_tower(model, device)
    turns = [towers.measure(tower, sizes) for _ in range(repeat)]
    for turn, matmul in zip(turns, found.metrics["matmul_tflops"], strict=True):
        values = (turn.best, turn.tflops / matmul, turn.piped_share, turn.device_mb)
        found.add(**{f"{name}_{metric}": value for metric, value in zip(OF_A_TOWER, values, strict=True)})
    bars = {f"bare, {batch} a batch": [turn.bare[batch] for turn in turns] for batch in sizes.batches}
    bars["from frames in memory"] = [turn.piped for turn in turns]
    found.charts.append(Chart(f"{name} on {device}", "images a second", bars))
    found.notes.append(f"{name}: {turns[0].gflops:.2f} GFLOP an image; best of {sizes.batches} images a batch.")


def _match(found: Findings, device: str, sizes: Sizes) -> None:
    seconds = others.match_seconds(device, sizes)
    found.add(match_1e6_x_1e7_s=min(seconds.values()))
    found.charts.append(
        Chart("1e6 x 1e7 descriptors by tile", "seconds", {name: [each] for name, each in seconds.items()})
    )
    found.notes.append(
        f"Matching was measured with {sizes.queries:,} queries against {sizes.bank:,} rows of {sizes.dimensions}"
        " dimensions; seconds are for 1e6 against 1e7, to which they are proportional."
    )


def _speech(found: Findings, device: str, videos: Sequence[Path]) -> None:
    sounds, model = others.speech_sounds(videos), others.speech_model(device)
    found.add(speech_times_real_time=others.times_real_time(model, sounds, device))
    found.notes.append(f"Speech: {model.spec.name}.")


def _appetite(found: Findings, videos: Sequence[Path]) -> None:
    """Decoding cores that keep the largest tower busy."""
    frames = others.frames_a_core_second(videos)
    found.add(decoded_frames_a_core_s=frames)
    if fed := found.metrics.get("vit_l_14_images_per_s"):
        found.add(decode_cores_a_gpu=max(fed) / frames)
    else:
        raise NightjarError("the tower was not measured")


def main() -> None:
    """Measure, print, and write the report, on a machine with a GPU and little else."""
    from datetime import UTC, datetime

    from benchmarks.environment import environment
    from benchmarks.report import write
    from benchmarks.requirements import bounds_of
    from benchmarks.result import check

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(), help="where the report goes (default: here)")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="videos to decode and listen to")
    args = parser.parse_args()
    result = run(args.videos, REPEAT)
    checks = [check(bounds, result) for bounds in bounds_of("gpu")]
    print(*(each.sentence for each in checks), sep="\n")
    print(write(args.output, "gpu", datetime.now(UTC), result, checks, environment(), ""))


if __name__ == "__main__":
    main()
