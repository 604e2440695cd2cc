"""Films that several tests look at are made once a session; a decode child lives as long as its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits
from tests.footage import Tone, noise, write_film
from tests.watching import ENGINES, only


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the films of the session."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def film(films: Path) -> Path:
    """Three seconds of picture and sound in H.264 and AAC: the ordinary case."""
    return write_film(films / "film.mp4", tone=Tone(3.0))


@pytest.fixture(scope="session")
def msmpeg4_film(films: Path) -> Path:
    """Three seconds in MPEG-4 as Microsoft had it, which decord has first."""
    return write_film(films / "film.avi", codec="msmpeg4")


@pytest.fixture(scope="session")
def long_film(films: Path) -> Path:
    """65 s at 2 frames a second, with sound: three windows."""
    return write_film(films / "long.mp4", seconds=65, fps=2, tone=Tone(65.0))


@pytest.fixture(scope="session")
def noisy_mp4(films: Path) -> Path:
    """Eight seconds that do not compress, index in front: something to damage."""
    return write_film(films / "noisy.mp4", seconds=8, draw=noise, flags="faststart")


@pytest.fixture(scope="session")
def noisy_webm(films: Path) -> Path:
    """The same in VP9 and Matroska."""
    return write_film(films / "noisy.webm", seconds=8, draw=noise, codec="libvpx-vp9")


@pytest.fixture(params=ENGINES)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each engine, where it takes the file: the slower ones by refusing those before."""
    only(str(request.param), monkeypatch)
    return str(request.param)


@pytest.fixture
def start_child() -> Iterator[Callable[..., DecodeChild]]:
    """Make decode children that do not outlive the test."""
    children: list[DecodeChild] = []

    def start(**limits: object) -> DecodeChild:
        children.append(DecodeChild(replace(Limits(stall_seconds=30), **limits)))
        return children[-1]

    yield start
    for child in children:
        child.close()
