"""Ids of clusters: the same from night to night, and by a rule where clusters merge or split."""

from __future__ import annotations

from pipelines.clusters.identity import Earlier, names

MONDAY, TUESDAY = "dt=2026-11-23", "dt=2026-11-24"


def said(clusters, earlier=(), night=TUESDAY):
    """Contents are letters, of which the first of the alphabet was uploaded first and the first named is the medoid."""
    return names([(one[0], set(one)) for one in clusters], earlier, min, night)


def kept(name, contents, founded=MONDAY):
    return Earlier(name, founded, set(contents), contents[0])


def test_a_name_follows_from_the_first_content():
    [one], [same], [other] = said(["ba"]), said(["acd"]), said(["bc"])

    assert one == same
    assert one.id != other.id
    assert (one.founded, len(one.id), one.id[0]) == (TUESDAY, 17, "c")


def test_a_cluster_keeps_its_name_when_others_come_and_go():
    assert [one.id for one in said(["xab", "cd"], [kept("old", "ab")])] == ["old", said(["cd"])[0].id]
    assert said(["bx"], [kept("old", "ab")])[0].founded == MONDAY


def test_where_two_merge_the_larger_name_stays():
    assert said(["abcde"], [kept("two", "ab"), kept("three", "cde")])[0].id == "three"


def test_of_equals_the_medoid_and_then_the_older_one_stays():
    assert said(["cdab"], [kept("p", "ab"), kept("q", "cd")])[0].id == "q"
    assert said(["xabcd"], [kept("q", "ab", TUESDAY), kept("p", "cd", MONDAY)])[0].id == "p"


def test_where_one_splits_the_larger_part_keeps_the_name():
    first, second = said(["de", "abc"], [kept("old", "abcde")])

    assert second.id == "old"
    assert first.id not in ("old", second.id)


def test_two_with_the_same_first_content_have_two_names():
    one, other = said(["ab", "ac"])

    assert one.id != other.id
    assert {one.id, other.id} == {two.id for two in said(["ac", "ab"])}


def test_a_new_cluster_never_takes_a_name_that_is_taken():
    taken = said(["ab"])[0].id

    assert said(["ac"], [kept(taken, "bd")])[0].id != taken
