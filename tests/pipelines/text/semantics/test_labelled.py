"""Labelled lines: the table that ships, and tables that are wrong."""

from collections import Counter

import pytest

from model_registry.errors import UsageError
from model_registry.labels import taxonomy
from model_registry.models.text.heads import LABELS, Heads
from pipelines.text.semantics.fit import settings
from pipelines.text.semantics.labelled import COLUMNS, LabelledLine, digest, read_lines, shipped
from pipelines.text.semantics.sets import text_sets
from tests.model_registry.test_text_heads import SHIPPED as HEADS

HEADER = "\t".join(COLUMNS)
SOUND = "g\tzh\tVoice\tGambling; Abuse/Insult\t你好"


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped())


def written(tmp_path, *rows, header=HEADER):
    path = tmp_path / "lines.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def test_every_label_has_families_in_both_languages(lines):
    groups = {(label, line.language): set() for label in ("", *LABELS) for line in lines}
    for line in lines:
        for label in line.labels or ("",):
            groups[label, line.language].add(line.group)
    assert {language for _, language in groups} == {"zh", "en"}
    assert min(map(len, groups.values())) >= 5


def test_a_family_has_one_set_of_labels(lines):
    """Else its name would not say what it is."""
    labels = {}
    for line in lines:
        labels.setdefault(line.group, set()).add(line.labels)
    assert [group for group, found in labels.items() if len(found) > 1] == []


def test_labels_can_be_said_shown_or_written(lines):
    for line in lines:
        assert all(line.form in taxonomy()[label].forms for label in line.labels)


def test_no_family_outweighs_the_others(lines):
    assert max(Counter(line.group for line in lines).values()) <= 40


def test_the_shipped_heads_were_fitted_on_the_shipped_lines_by_this_fit(lines):
    for path in (HEADS, *(HEADS.with_name(f"heads_ngrams_{script}.npz") for script in ("han", "other"))):
        notes = Heads.read(path).notes
        assert notes["own_lines_sha256"] == digest(lines)
        assert {name: notes[name] for name in settings()} == settings()
        assert [(each["name"], each["sha256"]) for each in notes["sets"]] == [
            (each.name, each.sha256) for each in text_sets()
        ]


def test_a_table_is_read(tmp_path):
    assert read_lines([written(tmp_path, SOUND, 'h\ten\tText\t\tsay "hi"')]) == [
        LabelledLine("g", "zh", "Voice", ("Gambling", "Abuse/Insult"), "你好"),
        LabelledLine("h", "en", "Text", (), 'say "hi"'),
    ]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("g\tzh\tVoice\tGambling/Dice\tx", "row 3: label 'Gambling/Dice' is not in the taxonomy; see `nightjar models"),
        ("g\tzh\tImage\t\tx", "row 3: form 'Image', allowed: Voice, OCR, Text"),
        ("\tzh\tVoice\t\tx", "row 3: group '' with the text 'x', wanted both"),
        ("g\tzh\tVoice\t\t  ", "row 3: group 'g' with the text '  ', wanted both"),
        ("g\tzh\tVoice\t", "row 3: it has not 5 cells"),
        ("g\tzh\tVoice\t\tx\ty", "row 3: it has not 5 cells"),
        (SOUND, "row 3: the text '你好' stands in lines.tsv, row 2 too"),
    ],
)
def test_a_wrong_row_names_file_and_row(tmp_path, row, sentence):
    path = written(tmp_path, SOUND, row)
    with pytest.raises(UsageError, match=f"^{path}, {sentence}"):
        read_lines([path])


def test_other_columns_are_refused(tmp_path):
    path = written(tmp_path, header="text,label")
    with pytest.raises(UsageError, match=f"^{path} has the columns text,label; wanted, separated by tabs: group, lang"):
        read_lines([path])


@pytest.mark.parametrize("content", [None, b"group\tlanguage\tform\tlabels\ttext\n\xff\tzh"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, content):
    path = tmp_path / "lines.tsv"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"^{path} cannot be read: "):
        read_lines([path])
