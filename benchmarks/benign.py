"""Text that nobody wrote to harm: what installed packages say of themselves, Python's manual, Chinese phrases.

None of it was seen by a lexicon or a head. Lines with a web or mail address are left out: they are contact details.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

MOST = 4000  # lines of a body, evenly taken
ADDRESS = re.compile(r"://|www\.|@|\.(com|org|net|io|dev)\b")
PROSE = re.compile(r"[A-Z][a-z]+ (?=.* .* )[^`<>|{}=_\\]*$")  # an English sentence, no code, no table
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LONG_PHRASE = 5  # characters: sayings, names and half sentences, no words
LENGTHS = (LONG_PHRASE, 200)  # characters of a line


def bodies() -> dict[str, list[str]]:
    """Return the lines of each body, each once, in a fixed order."""
    sources: dict[str, Callable[[], Iterable[str]]] = {
        "package_pages_en": _package_pages_en,
        "python_manual_en": _python_manual,
        "package_pages_zh": _package_pages_zh,
        "phrases_zh": _phrases,
    }
    return {name: _kept(lines()) for name, lines in sources.items()}


def _kept(lines: Iterable[str]) -> list[str]:
    low, high = LENGTHS
    stripped = (" ".join(line.split()) for line in lines)
    kept = sorted({line for line in stripped if low <= len(line) <= high and not ADDRESS.search(line)})
    return kept[:: -(-len(kept) // MOST)] if kept else []


def _pages() -> Iterator[str]:
    for package in importlib.metadata.distributions():
        page = package.metadata.get_payload() or package.metadata.get("Description") or ""  # type: ignore[attr-defined]
        yield from page.splitlines()


def _package_pages_en() -> Iterator[str]:
    return (line for line in _pages() if PROSE.match(line.strip()) and not CHINESE.search(line))


def _package_pages_zh() -> Iterator[str]:
    """Pages, and what is written within the code of one package that was documented in Chinese."""
    spec = importlib.util.find_spec("pypinyin")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    texts = [path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))] if folder else []
    lines = [line for text in texts for doc in _docstrings(text) for line in doc.splitlines()]
    return (line.strip(" -*#>`") for line in (*_pages(), *lines) if len(CHINESE.findall(line)) >= LONG_PHRASE)


def _python_manual() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for doc in _docstrings(path.read_text("utf-8", "replace")):
            yield from (line for line in doc.splitlines() if PROSE.match(line.strip()))


def _docstrings(source: str) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds) and (doc := ast.get_docstring(node)):
            yield doc


def _phrases() -> Iterator[str]:
    """The long ones of pypinyin's phrases."""
    from pypinyin.constants import PHRASES_DICT

    return (phrase for phrase in PHRASES_DICT if len(phrase) >= LONG_PHRASE)
