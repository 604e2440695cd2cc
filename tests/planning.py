"""Nights that went exactly as their rates say."""

from __future__ import annotations

import json

from jobs.plans.planning import Kind, Load, Machines, Rates, night_on

SPREAD = {
    "model_actors": 1,
    "model_cpus": 0.5,
    "model_threads": 1,
    "model_gpus": 0.0,
    "speech_actors": 0,
    "speech_cpus": 0.5,
    "speech_gpus": 0.0,
    "decode_cpus": 0.5,
    "commit_cpus": 0.05,
}
GPU_SPREAD = SPREAD | {
    "model_actors": 4,
    "model_gpus": 0.3,
    "model_cpus": 1.0,
    "speech_actors": 4,
    "speech_gpus": 0.2,
    "speech_cpus": 1.0,
    "decode_cpus": 0.9,
}


def busy_s(decode: float, look: float, listen: float) -> dict[str, float]:
    seen = {"open_nsfw": look / 4, "views": 3 * look / 4}
    return {"decode": decode, **seen, "transcribe": listen / 2, "listen": listen / 2}


def write_night(folder, truth: Rates, load: Load, *, cpus=4.0, gpus=0.0, name="n", contended=1.3, **more):
    """The summary of a night that went exactly as its rates say."""
    spread = GPU_SPREAD if gpus else SPREAD
    night = night_on(Machines(((Kind("m", cpus, gpus), 1),)), truth, load)
    steps_s = {step: 3600 * hours for step, hours in night.steps_h.items() if step != "starting"}
    parts = [rate * load.hours * contended for rate in (truth.decode, truth.look, truth.listen)]
    if gpus:  # what tasks and actors are busy for, given what they keep of cores and GPUs
        parts = [
            truth.decode * load.hours / spread["decode_cpus"],
            truth.look * load.hours * spread["model_actors"] / gpus,
            truth.listen * load.hours * spread["speech_actors"] / gpus,
        ]
    summary = {
        "run": {"seconds": 3600 * night.hours, "features": "lite@1/frames-v3"},
        "counts": {"videos": int(load.videos), "contents_looked_at": int(load.videos)},
        "throughput": {"hours": load.hours},
        "busy_s": busy_s(*parts),
        "steps_s": steps_s,
        "machine": {"cpus": cpus, "gpus": gpus, "nodes": 1, "machines": spread},
        "versions": {"bundle": "lite@1", "sampling": "frames/1000ms"},
        **more,
    }
    at = folder / name
    (at / "features" / "lite@1").mkdir(parents=True)
    (at / "features" / "lite@1" / "windows-1.parquet").write_bytes(b"x" * 1000)
    (at / "summary.json").write_text(json.dumps(summary))
    return at


CPU_TRUTH = Rates(decode=400, look=300, listen=100, hash=12, match=30, read=9, judge=40, start_s=20)
GPU_TRUTH = Rates(
    on_gpu=True,
    decode=300,
    look=40,
    listen=60,
    hash=12,
    match=3,
    read=9,
    judge=40,
    start_s=20,
    efficiency=0.8,
    actor_cpus_a_gpu=8,
)
