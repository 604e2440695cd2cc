"""Texts that wait are read along with one whose turn it is; each upload gets its own readings whatever others do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.serving.ahead import MOST_CHARACTERS, ReadAhead
from pipelines.text.readings import key_of, readings_table


class Reader:
    """Reads nothing in any text, and remembers which it was given together; may be told to fail or to wait."""

    def __init__(self):
        self.calls, self.bad, self.go, self.begun = [], set(), threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, texts):
        self.calls.append(tuple(texts))
        self.begun.set()
        assert self.go.wait(20)
        if self.bad & set(texts):
            raise RuntimeError("no reader for it")
        return readings_table(texts, [[] for _ in texts], [None] * len(texts))


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def ahead(reader):
    return ReadAhead(reader)


def keys(table):
    return table["key"].to_pylist()


def test_who_is_alone_reads_alone(ahead, reader):
    assert keys(ahead.of(ahead.expect(["a", "b"]))) == [key_of("a"), key_of("b")]
    assert reader.calls == [("a", "b")]


def test_those_that_wait_are_read_along_once_and_each_gets_its_own(ahead, reader):
    uploads = {name: ahead.expect([name, "same"]) for name in "abc"}
    for name in "bac":
        assert keys(ahead.of(uploads[name])) == [key_of(name), key_of("same")]
    assert reader.calls == [("b", "same", "a", "same", "c", "same")]


def test_what_else_was_found_in_an_upload_is_read_with_its_turn_and_no_text_twice(ahead, reader):
    shown = ahead.of(ahead.expect(["title"]), ["shown", "title", "shown"])
    assert keys(shown) == [key_of("title"), key_of("shown")]
    assert keys(ahead.of(ahead.expect([]), ["only shown"])) == [key_of("only shown")]
    assert reader.calls == [("title",), ("shown",), ("only shown",)]


def test_an_upload_without_texts_is_neither_read_nor_waited_for(ahead, reader):
    assert ahead.of(ahead.expect([])) is None
    assert reader.calls == []


def test_a_long_text_is_not_read_along_and_delays_no_short_one(ahead, reader):
    first, long, short = ahead.expect(["first"]), ahead.expect(["x" * MOST_CHARACTERS]), ahead.expect(["short"])
    ahead.of(first)
    assert reader.calls == [("first", "short")]
    ahead.of(long)
    assert reader.calls[1:] == [long.texts]
    assert keys(ahead.of(short)) == [key_of("short")]


def test_who_has_gone_is_not_read_along_and_is_read_alone_if_its_turn_comes_all_the_same(ahead, reader):
    first, gone = ahead.expect(["first"]), ahead.expect(["gone"])
    ahead.forget(gone)
    ahead.forget(gone)
    ahead.of(first)
    assert reader.calls == [("first",)]
    assert keys(ahead.of(gone)) == [key_of("gone")]


def test_what_was_read_may_be_forgotten(ahead):
    first, along = ahead.expect(["first"]), ahead.expect(["along"])
    ahead.of(first)
    ahead.forget(first)
    ahead.forget(along)
    assert keys(ahead.of(along)) == [key_of("along")]


def test_a_text_that_cannot_be_read_costs_the_others_nothing(ahead, reader):
    reader.bad = {"bad"}
    good, bad, other = ahead.expect(["good"]), ahead.expect(["bad"]), ahead.expect(["other"])
    assert keys(ahead.of(good)) == [key_of("good")]
    with pytest.raises(RuntimeError, match="no reader for it"):
        ahead.of(bad)
    assert keys(ahead.of(other)) == [key_of("other")]
    assert reader.calls == [("good", "bad", "other"), ("good",), ("bad",), ("other",)]


def test_who_is_being_read_by_another_thread_waits_for_it(ahead, reader):
    first, along = ahead.expect(["first"]), ahead.expect(["along"])
    reader.go.clear()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(ahead.of, first)
        assert reader.begun.wait(20)
        other = pool.submit(ahead.of, along)
        reader.go.set()
        assert keys(one.result(20)) == [key_of("first")]
        assert keys(other.result(20)) == [key_of("along")]
    assert reader.calls == [("first", "along")]
