"""A batch that does not fit is halved: the results are those of the whole batch, and every other failure is raised."""

import gc
import weakref

import numpy as np
import pytest

from model_registry.errors import NightjarError
from model_registry.memory import is_out_of_memory
from model_registry.model import InputKind, Model, ModelSpec, OutputKind, Span, predict_all, read_all

torch = pytest.importorskip("torch")


class Tight(Model):
    """Has room for so many items at a time, and says so as a runtime does."""

    spec = ModelSpec(
        name="tight", version="1", reads=InputKind.SOUND, artifacts=(), embedding_dim=1, max_batch=8, gpus=0.5
    )

    def __init__(self, room, error=None, device="cuda"):
        self.room, self.device, self.batches = room, device, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    @classmethod
    def load(cls, weights, device):
        return cls(8, device=device)

    def predict(self, batch):
        self.batches.append(len(batch))
        if len(batch) > self.room:
            raise self.error
        return [np.array([sound.sum()], np.float32) for sound in batch]

    @classmethod
    def examples(cls):
        return [np.full(4, value, np.int16) for value in range(19)]


class TightEars(Tight):
    """Writes spans."""

    spec = ModelSpec(
        name="tight_ears", version="1", reads=InputKind.SOUND, artifacts=(), writes=OutputKind.SPANS, max_batch=8
    )

    def predict(self, batch):
        return [(Span(0, int(vector[0]), 1.0),) for vector in super().predict(batch)]


ITEMS = Tight.examples()


@pytest.mark.parametrize(
    ("room", "batches"),
    [
        (8, [8, 8, 3]),
        (4, [8, *[4] * 4, 3]),
        (5, [8, *[4] * 4, 3]),
        (3, [8, 4, *[2] * 9, 1]),
        (1, [8, 4, 2, *[1] * 19]),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(room, batches):
    tight, ears = Tight(room), TightEars(room)
    assert predict_all(tight, ITEMS).tolist() == predict_all(Tight(8), ITEMS).tolist()
    assert read_all(ears, ITEMS) == read_all(TightEars(8), ITEMS)
    assert tight.batches == ears.batches == batches


def test_the_last_batch_is_halved_by_its_own_size():
    """Halving the largest size that is allowed would offer the same three again."""
    tight = Tight(2)
    assert predict_all(tight, ITEMS[:3]).tolist() == [[0.0], [4.0], [8.0]]
    assert tight.batches == [3, 1, 1, 1]


def test_the_next_call_begins_with_a_whole_batch():
    """What filled the memory may be gone."""
    tight = Tight(4)
    predict_all(tight, ITEMS[:8])
    tight.room, tight.batches = 8, []
    predict_all(tight, ITEMS[:8])
    assert tight.batches == [8]


@pytest.mark.parametrize(("run", "name"), [(predict_all, "tight"), (read_all, "tight_ears")])
def test_one_item_that_does_not_fit_is_an_error(run, name):
    model = (Tight if run is predict_all else TightEars)(0, device="cuda:1")
    with pytest.raises(NightjarError, match=f"^model {name} has too little memory on cuda:1 for a batch of 1$"):
        run(model, ITEMS[:4])
    assert model.batches == [4, 2, 1]


def _onnx(kind, message):
    raised = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    return getattr(raised, kind)(message)


ARENA = (
    "Non-zero status code returned while running Conv node. Failed to allocate memory for requested buffer of size 9"
)


@pytest.mark.parametrize(
    "error",
    [
        lambda: MemoryError(),
        lambda: np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype(np.float32)),
        lambda: torch.OutOfMemoryError("CUDA out of memory."),
        lambda: RuntimeError("CUDA failed with error out of memory"),
        lambda: RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        lambda: RuntimeError("mkl_malloc: failed to allocate memory"),
        lambda: _onnx("RuntimeException", ARENA),
        lambda: _onnx("Fail", "CUDA failure 2: out of memory ; GPU=0"),
    ],
)
def test_every_runtime_has_words_of_its_own_for_it(error):
    assert is_out_of_memory(error())
    tight = Tight(2, error())
    assert predict_all(tight, ITEMS[:4]).tolist() == [[0.0], [4.0], [8.0], [12.0]]
    assert tight.batches == [4, 2, 2]


def test_torch_itself_says_it_on_a_cpu():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        lambda: ValueError("out of memory"),  # a title, say
        lambda: RuntimeError("CUDA error: device-side assert triggered"),
        lambda: _onnx("InvalidArgument", "Got invalid dimensions for input"),
        lambda: NightjarError("the disk is out of memory"),
    ],
)
def test_every_other_failure_is_raised_at_once(error):
    tight = Tight(0, raised := error())
    with pytest.raises(type(raised)):
        predict_all(tight, ITEMS)
    assert tight.batches == [8]


class Holding(Tight):
    """Keeps an eye on what each batch took."""

    def predict(self, batch):
        tensor = torch.zeros(len(batch))
        self.held.append(weakref.ref(tensor))
        return super().predict(batch)


def test_what_a_failed_batch_took_is_free_before_the_next(monkeypatch):
    """Its traceback keeps no tensor alive, and torch is asked to give back what it has."""
    tight, freed = Holding(2, torch.OutOfMemoryError), []
    tight.held = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append([ref() is None for ref in tight.held]))
    gc.disable()
    try:
        predict_all(tight, ITEMS[:8])
    finally:
        gc.enable()
    assert freed == [[True], [True, True]]
