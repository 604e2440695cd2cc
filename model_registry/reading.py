"""A file that is not what a model loads becomes one sentence that names the file."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_registry.errors import NightjarError

# What NumPy, torch and open_clip raise for files that are damaged, or sound files of something else.
UNREADABLE: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OSError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@contextmanager
def reading(path: Path, what: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise NightjarError `PATH is not WHAT: reason` where the block cannot read the file."""
    try:
        yield
    except (*UNREADABLE, *also) as error:
        raise NightjarError(f"{path} is not {what}: {one_line(error)}") from error


def one_line(error: object, longest: int = 300) -> str:
    """Fold a message of several lines into one; an error without words is called by its type."""
    return " ".join(str(error).split())[:longest] or type(error).__name__
