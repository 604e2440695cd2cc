"""The GPU script's own arithmetic, and the whole of it on the CPU with a small tower."""

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks.accelerator import others, parity, towers
from benchmarks.accelerator.rates import Sizes, matmul_tflops, per_second, vit_gflops
from benchmarks.requirements import bounds_of
from benchmarks.result import check
from model_registry.catalog import CATALOG
from model_registry.errors import NightjarError
from model_registry.model import Line, Span
from model_registry.models import clip
from model_registry.models.clip import ClipTower, ClipViTB32
from model_registry.models.clip_heads import NudityViTB32
from model_registry.models.speech.voice_activity import SileroVad
from model_registry.models.speech.whisper_ct2 import FasterWhisperBase
from tests.fakes import FakeHead
from tests.tiny_clip import tiny_clip

torch = pytest.importorskip("torch")
SMALL = Sizes(0.01, 32, (1, 2), (32, 48), 1, 64, 1000, 16, ((32, 256), (64, 512)))


class TinyTower(ClipTower):
    """The tower of the tests' own checkpoint."""

    spec = ClipViTB32.spec


def visual():
    """As open_clip makes one: it knows how its images are scaled."""
    net = tiny_clip(512).visual
    net.image_mean, net.image_std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    return net


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(towers, "random_tower", lambda model, device: model(visual(), device))
    return TinyTower


# Rates


def test_calls_a_second_leave_the_first_calls_out():
    calls = []
    rate = per_second(lambda: calls.append(torch.ones(1)), "cpu", 0.05)
    assert 0 < rate < (len(calls) - 3) / 0.05 * 1.01


def test_the_arithmetic_of_a_tower_is_what_torch_counts():
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    net = visual()
    torch.backends.mha.set_fastpath_enabled(False)  # fused kernels are not counted
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 3, 32, 32))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert vit_gflops(net) == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-6)


def test_a_product_of_matrices_has_a_rate():
    assert matmul_tflops("cpu", 64, 0.01) > 0


# The tower on CUDA


def test_quick_gelu_in_one_kernel_is_the_same_function():
    before, after = visual(), visual()
    clip.one_kernel_gelu(after)
    assert isinstance(after.transformer.resblocks[0].mlp.gelu, torch.nn.SiLU)
    pixels_NCHW = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        np.testing.assert_allclose(after(pixels_NCHW).numpy(), before(pixels_NCHW).numpy(), rtol=1e-4, atol=1e-5)


def test_a_bfloat16_tower_stays_within_the_tolerance():
    """What CUDA runs, run here; float32 is left for the length of the embedding."""
    plain, rounded = TinyTower(visual(), "cpu"), TinyTower(visual(), "cpu")
    clip.one_kernel_gelu(rounded.visual)
    rounded.visual.to(torch.bfloat16)
    frames = plain.examples()
    found, wanted = rounded.predict(frames), plain.predict(frames)
    assert {vector.dtype for vector in found} == {np.dtype(np.float32)}
    assert 0 < parity.apart(ClipViTB32.spec, found, wanted) < parity.COSINE


def test_a_batch_in_parts_is_the_batch(monkeypatch):
    tower = TinyTower(visual(), "cpu")
    frames = tower.examples() * 3
    whole = tower.predict(frames)
    monkeypatch.setattr(TinyTower, "_parts", lambda self, batch: [batch[:5], batch[5:]])
    np.testing.assert_allclose(tower.predict(frames), whole, atol=1e-5)


def test_only_cuda_takes_a_batch_in_parts():
    tower = TinyTower(visual(), "cpu")
    items = list(range(2 * clip.CUDA_PART + 1))
    assert [len(part) for part in tower._parts(items)] == [len(items)]
    tower.device = "cuda:0"
    assert [len(part) for part in tower._parts(items)] == [clip.CUDA_PART, clip.CUDA_PART, 1]


# Parity


def test_embeddings_are_apart_by_their_angle_and_scores_by_their_difference():
    tower, head = ClipViTB32.spec, NudityViTB32.spec
    one, other = np.array([1, 0], np.float32), np.array([0, 2], np.float32)
    assert parity.apart(tower, [one, 3 * other], [2 * one, other]) == pytest.approx(0)
    assert parity.apart(tower, [one], [other]) == pytest.approx(1)
    assert parity.apart(head, [one * 0.25, one], [one * 0.5, one]) == pytest.approx(0.25)


def test_lines_are_apart_by_letters_and_spans_by_milliseconds():
    assert parity.apart(FasterWhisperBase.spec, [(Line("abd", 1.0),)], [(Line("abcd", 1.0),)]) == pytest.approx(0.25)
    assert parity.apart(SileroVad.spec, [(Span(0, 90, 1.0),)], [(Span(10, 60, 1.0),)]) == 30


@pytest.mark.parametrize("found", [[], [np.array([np.nan], np.float32)]])
def test_a_result_that_is_missing_or_not_finite_is_too_far(found):
    row = parity.Parity("m", "", parity.apart(NudityViTB32.spec, found, [np.ones(1, np.float32)]), 0.1)
    assert row.failed
    assert "TOO FAR" in row.row


def test_a_model_is_held_against_itself_on_the_cpu():
    class Off(FakeHead):
        def predict(self, batch):
            return [vector / 2 for vector in super().predict(batch)]

    def load(device):
        return (FakeHead if device == "cpu" else Off).load({}, "cpu")

    assert parity.compare(FakeHead, lambda _: load("cpu"), "cuda").apart == 0
    assert parity.compare(FakeHead, load, "cuda").failed


def test_absent_weights_are_a_reason_and_no_failure():
    def absent(device):
        raise NightjarError("they are not here")

    row = parity.compare(FakeHead, absent, "cuda")
    assert (row.apart, row.failed, row.reason) == (None, False, "not measured: they are not here")


# All of it


def test_descriptors_have_length_one_and_are_the_same_each_time():
    found = others.descriptors(10, SMALL, "cpu")
    np.testing.assert_allclose(np.linalg.norm(found.astype(np.float32), axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(found, others.descriptors(10, SMALL, "cpu"))


def test_the_script_runs_on_a_cpu(tiny):
    found = gpu.measure("cpu", [], 2, SMALL, {"vit_l_14": tiny, "vit_b_32": tiny}, ["clip_vit_b_32"])
    assert found.unmeasured.keys() == {"speech_times_real_time", "decode_cores_a_gpu"}
    assert "--videos" in found.unmeasured["decode_cores_a_gpu"]
    assert set(gpu.METRICS) <= found.metrics.keys() | found.unmeasured.keys()
    assert len(found.metrics["vit_l_14_share_of_matmul"]) == 2
    assert [chart.unit for chart in found.charts] == ["images a second", "images a second", "seconds"]
    assert all(min(values) > 0 for name, values in found.metrics.items() if name not in ("parity_failures", *MEMORY))


MEMORY = ("vit_l_14_gpu_mb", "vit_b_32_gpu_mb", "parity_models")


def test_the_share_is_that_of_the_products_measured(tiny):
    found = gpu.measure("cpu", [], 1, SMALL, {"vit_l_14": tiny}, []).metrics
    gflops = vit_gflops(visual())
    share = found["vit_l_14_images_per_s"][0] * gflops / 1e3 / found["matmul_tflops"][0]
    assert found["vit_l_14_share_of_matmul"][0] == pytest.approx(share)


def test_a_package_that_is_not_there_leaves_its_rows_empty(monkeypatch):
    def absent(*_):
        raise ImportError("No module named 'open_clip'")

    monkeypatch.setattr(towers, "random_tower", absent)
    found = gpu.measure("cpu", [], 1, SMALL, gpu.TOWERS, [])
    assert found.unmeasured["vit_l_14_share_of_matmul"] == "No module named 'open_clip'"
    assert "matmul_tflops" in found.metrics


def test_without_a_gpu_nothing_is_met_and_nothing_missed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = gpu.run([], 1)
    checks = [check(bounds, found) for bounds in bounds_of("gpu")]
    assert {each.missed for each in checks} == {False}
    assert all("not measured: no GPU on this machine; wanted at" in each.sentence for each in checks)


def test_every_required_metric_is_one_the_script_measures():
    assert {bounds.metric for bounds in bounds_of("gpu")} <= set(gpu.METRICS)
    assert {tower.spec.name for tower in gpu.TOWERS.values()} <= set(CATALOG)


def test_a_core_decodes_frames(real_media):
    assert others.frames_a_core_second(sorted((real_media / "clip").glob("*.mp4"))[:2]) > 0


def test_recordings_are_heard_in_pieces_of_thirty_seconds(real_media, loaded):
    sounds = others.speech_sounds(sorted((real_media / "clip").glob("*.mp4"))[:2])
    assert 0 < max(map(len, sounds)) <= 30 * 16_000
    assert others.times_real_time(loaded("whisper_base_ct2"), sounds[:1], "cpu") > 0
