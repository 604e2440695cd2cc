"""References: licences by place and day, and what people write about them in a table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import UsageError
from pipelines.copyright.bank.reference import (
    Kind,
    Licence,
    Reference,
    Stated,
    licences_text,
    parse_licences,
    read_metadata,
)

JUNE = date(2025, 6, 1)
days = st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1))
windows = st.tuples(days, days).map(lambda ends: ends if None in ends else tuple(sorted(ends)))
licences = st.builds(lambda place, window: Licence(place, *window), st.sampled_from(["US", "JP", "DE", "*"]), windows)


class TestLicence:
    @pytest.mark.parametrize(
        ("text", "territory", "day", "covers"),
        [
            ("US:2025-06-01..2025-06-30", "US", "2025-06-01", True),
            ("US:2025-06-01..2025-06-30", "US", "2025-06-30", True),
            ("US:2025-06-01..2025-06-30", "US", "2025-05-31", False),
            ("US:2025-06-01..2025-06-30", "US", "2025-07-01", False),
            ("US:2025-06-01..2025-06-30", "JP", "2025-06-15", False),
            ("US:2025-06-01..", "US", "2099-01-01", True),
            ("US:..2025-06-01", "US", "1999-01-01", True),
            ("US", "US", "1999-01-01", True),
            ("US", "*", "2025-06-01", False),
            ("*", "US", "2025-06-01", True),
            ("*:2025-06-01..", "*", "2025-06-01", True),
        ],
    )
    def test_where_and_when(self, text, territory, day, covers):
        (licence,) = parse_licences(text)

        assert licence.covers(territory, date.fromisoformat(day)) is covers

    def test_any_of_them(self):
        ref = Reference(id="a", content_sha256="0", licences=parse_licences("US:..2024-12-31; JP"))

        assert ref.licensed("JP", JUNE)
        assert ref.licensed("US", date(2024, 1, 1))
        assert not ref.licensed("US", JUNE)
        assert not Reference(id="a", content_sha256="0").licensed("US", JUNE)

    @given(st.lists(licences, max_size=4).map(tuple))
    def test_text_and_back(self, found):
        assert parse_licences(licences_text(found)) == found

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("usa", "territory 'usa' is no ISO 3166-1 alpha-2 code"),
            ("us:..", "territory 'us'"),
            (":2025-01-01..", "territory ''"),
            ("US:2025-01-01", "licence 'US:2025-01-01' has no window, wanted TERRITORY:FROM..UNTIL"),
            ("US:2025-13-01..", "has the day '2025-13-01', wanted YYYY-MM-DD"),
            ("US:20250101..", "has the day '20250101', wanted YYYY-MM-DD"),
            ("US:2025-02-01..2025-01-01", "licence US:2025-02-01..2025-01-01 ends before it starts"),
        ],
    )
    def test_bad_ones_are_named(self, text, complaint):
        with pytest.raises(UsageError) as refusal:
            parse_licences(f"JP;{text}")
        assert complaint in str(refusal.value)


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\x1b[2J"])
def test_ids_that_nobody_could_type(name):
    with pytest.raises(UsageError, match="reference id"):
        Reference(id=name, content_sha256="0")


def test_what_is_said_goes_over_what_is_known():
    known = Reference(id="a", content_sha256="0", title="Old", owner="Studio", licences=(Licence("US"),))

    assert Stated().over(known) == known
    told = Stated(id="ignored", title="New", kind=Kind.MUSIC, licences=()).over(known)
    assert (told.id, told.title, told.owner, told.kind, told.licences) == ("a", "New", "Studio", Kind.MUSIC, ())


class TestMetadata:
    def write(self, folder: Path, text: str, encoding: str = "utf-8") -> Path:
        (folder / "refs.csv").write_bytes(text.encode(encoding))
        return folder / "refs.csv"

    def test_all_columns(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = self.write(
            tmp_path,
            "path,id,title,owner,kind,licences\n"
            'films/a.mp4,some-film,"Film, Some",影业,show,US:2025-01-01..2026-12-31;*:..2024-12-31\n'
            "\n"
            "s3://studio/b.mp4,,,,,\n"
            "/c.mp4,,,,,none\n",
            "utf-8-sig",
        )

        assert read_metadata(path) == {
            str(tmp_path / "films/a.mp4"): Stated(
                "some-film",
                "Film, Some",
                "影业",
                Kind.SHOW,
                (Licence("US", date(2025, 1, 1), date(2026, 12, 31)), Licence("*", None, date(2024, 12, 31))),
            ),
            "s3://studio/b.mp4": Stated(),
            "/c.mp4": Stated(licences=()),
        }

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "has the columns nothing; wanted one of path, uri and each column once"),
            ("id,title\n", "has the columns id, title; wanted one of path, uri"),
            ("path,uri\n", "has the columns path, uri; wanted one of"),
            ("path,id,id\n", "wanted one of path, uri and each column once"),
            ("path,colour\n", "has the column 'colour'; allowed: path, uri, id, title, owner, kind, licences"),
            ("path,id\na.mp4\n", "row 2 has 1 values, the header 2"),
            ("path,id\n,x\n", "row 2: the path is empty"),
            ("path\na.mp4\n./a.mp4\n", "row 3: "),
            (
                "path,kind\na.mp4,movie\n",
                "row 2: kind is 'movie'; allowed: film, show, music, known_bad, creator, negative",
            ),
            ("path,licences\nb.mp4,US\na.mp4,USA\n", "row 3: territory 'USA'"),
            ("path,id\na.mp4,a\x07b\n", "row 2: reference id 'a\\x07b'"),
            ('path\n"a.mp4\n', "cannot be read as CSV"),
        ],
    )
    def test_a_bad_one_names_file_row_and_value(self, tmp_path, text, complaint):
        path = self.write(tmp_path, text)

        with pytest.raises(UsageError) as refusal:
            read_metadata(path)
        assert str(refusal.value).startswith(f"metadata {path}")
        assert complaint in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_another_encoding(self, tmp_path):
        with pytest.raises(UsageError, match="cannot be read as CSV in UTF-8"):
            read_metadata(self.write(tmp_path, "path,title\na.mp4,é\n", "latin-1"))

    def test_no_file(self, tmp_path):
        with pytest.raises(UsageError, match=r"none.csv cannot be read: No such file"):
            read_metadata(tmp_path / "none.csv")
