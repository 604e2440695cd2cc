"""The taxonomy: what ships can be read by people in two languages, and a broken file is refused."""

import re

import pytest

from model_registry import labels
from model_registry.errors import UsageError
from model_registry.labels import FORMS, Label, Taxonomy, covers, most_specific, taxonomy

# Amazon Rekognition's content moderation labels, version 7: first and second level.
REKOGNITION = {
    "Explicit": ["Explicit Nudity", "Explicit Sexual Activity", "Sex Toys"],
    "Non-Explicit Nudity of Intimate parts and Kissing": [
        "Non-Explicit Nudity",
        "Obstructed Intimate Parts",
        "Kissing on the Lips",
    ],
    "Swimwear or Underwear": ["Female Swimwear or Underwear", "Male Swimwear or Underwear"],
    "Violence": ["Weapons", "Graphic Violence"],
    "Visually Disturbing": ["Death and Emaciation", "Crashes"],
    "Drugs & Tobacco": ["Products", "Drugs & Tobacco Paraphernalia & Use"],
    "Alcohol": ["Alcohol Use", "Alcoholic Beverages"],
    "Rude Gestures": ["Middle Finger"],
    "Gambling": [],
    "Hate Symbols": ["Nazi Party", "White Supremacy", "Extremist"],
}
OURS = {
    "Copyright": ["Film and TV", "Music", "Reupload"],
    "Spoken Claim": ["Official Endorsement", "Absolute Claim", "False Material", "Medical Claim"],
    "Fraud": ["Off-Platform Lure", "Fake Giveaway", "Investment Scam", "Impersonation", "Contact Details"],
    "Abuse": ["Insult", "Threat", "Hate Speech", "Sexual Harassment"],
}
CJK = re.compile(r"[\u4e00-\u9fff]")
each_label = pytest.mark.parametrize("label", taxonomy().labels, ids=lambda label: label.name)


def spelled_out(tree):
    return [name for top, seconds in tree.items() for name in (top, *(f"{top}/{second}" for second in seconds))]


def seconds_of(top):
    return [label for label in taxonomy().labels if label.parent == top and label.name != top]


# What ships


def test_the_labels_are_rekognition_version_7_and_then_ours():
    assert [label.name for label in taxonomy().labels] == spelled_out(REKOGNITION) + spelled_out(OURS)


def test_the_taxonomy_has_a_version_of_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", taxonomy().version)


def test_names_holds_every_label():
    assert taxonomy().names() == set(spelled_out(REKOGNITION | OURS))


@each_label
def test_english_is_one_ascii_sentence(label):
    assert label.en.isascii()
    assert re.fullmatch(r"[A-Z][^.!?]+\.", label.en)


@each_label
def test_chinese_is_one_sentence_in_simplified_characters(label):
    label.zh.encode("gb2312")  # has no traditional characters: raises UnicodeEncodeError
    assert re.fullmatch(r"[^。！？.!?]+。", label.zh)
    assert len(CJK.findall(label.zh)) > len(label.zh) / 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_two_labels_share_a_sentence(language):
    sentences = [getattr(label, language) for label in taxonomy().labels]
    assert len(set(sentences)) == len(sentences)


@each_label
def test_forms_are_known_distinct_and_in_order(label):
    assert label.forms
    assert list(label.forms) == [form for form in FORMS if form in label.forms]


@pytest.mark.parametrize("top", [top for top, seconds in (REKOGNITION | OURS).items() if seconds])
def test_a_first_level_has_the_forms_of_its_second_levels(top):
    assert set(taxonomy()[top].forms) == {form for label in seconds_of(top) for form in label.forms}


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("Explicit/Explicit Nudity", ("Image",)),
        ("Copyright/Music", ("Audio",)),
        ("Fraud/Contact Details", ("Voice", "OCR", "Text")),
    ],
)
def test_forms_of_labels_that_policies_lean_on(name, forms):
    assert taxonomy()[name].forms == forms


# Looking up


def test_a_label_is_found_by_its_full_name():
    weapons = taxonomy()["Violence/Weapons"]
    assert (weapons.name, weapons.parent) == ("Violence/Weapons", "Violence")


def test_a_first_level_is_its_own_parent():
    assert taxonomy()["Gambling"].parent == "Gambling"


@pytest.mark.parametrize("name", ["Weapons", "violence/weapons", "Violence/", ""])
def test_an_unknown_name_is_a_usage_error_that_repeats_it(name):
    with pytest.raises(UsageError, match=re.escape(f"label {name!r} is not in taxonomy {taxonomy().version}")):
        taxonomy()[name]


@pytest.mark.parametrize(
    ("rule", "label", "expected"),
    [
        ("Violence", "Violence", True),
        ("Violence", "Violence/Weapons", True),
        ("Violence/Weapons", "Violence/Weapons", True),
        ("Violence/Weapons", "Violence", False),
        ("Violence/Weapons", "Violence/Graphic Violence", False),
        ("Alcohol", "Alcoholic", False),  # a prefix of the word is no parent
        ("", "Violence", False),
    ],
)
def test_covers(rule, label, expected):
    assert covers(rule, label) is expected


@pytest.mark.parametrize(
    ("rules", "label", "expected"),
    [
        (["Violence", "Violence/Weapons"], "Violence/Weapons", "Violence/Weapons"),
        (["Violence/Weapons", "Violence"], "Violence/Weapons", "Violence/Weapons"),
        (["Violence", "Violence/Weapons"], "Violence/Graphic Violence", "Violence"),
        (["Violence/Weapons"], "Violence", None),
        (["Gambling"], "Violence/Weapons", None),
        ([], "Violence/Weapons", None),
    ],
)
def test_most_specific(rules, label, expected):
    assert most_specific(rules, label) == expected


# What is refused


@pytest.mark.parametrize("name", ["", "/", "A/", "/B", "A/B/C"])
def test_a_name_that_is_not_one_or_two_levels_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"label {name!r} has to read 'Top' or 'Top/Second'")):
        Label(name=name, en="One.", zh="一。", forms=("Image",))


@pytest.mark.parametrize(("en", "zh"), [("", "一。"), ("One.", "")])
def test_a_label_without_one_of_its_sentences_is_refused(en, zh):
    with pytest.raises(ValueError, match="label 'A' lacks its English or its Chinese sentence"):
        Label(name="A", en=en, zh=zh, forms=("Image",))


def test_an_unknown_form_is_refused_with_those_allowed():
    with pytest.raises(ValueError, match=r"label 'A' has forms \['Smell'\]; allowed: Image, Voice, OCR, Audio, Text"):
        Label(name="A", en="One.", zh="一。", forms=("Image", "Smell"))


def read(monkeypatch, tmp_path, names) -> Taxonomy:
    """Read a taxonomy file with these labels, past the cache."""
    rows = [f'[[label]]\nname = "{name}"\nen = "One."\nzh = "一。"\nforms = ["Image"]\n' for name in names]
    path = tmp_path / "labels.toml"
    path.write_text('version = "2.0.0"\n' + "\n".join(rows), "utf-8")
    monkeypatch.setattr(labels, "TAXONOMY_FILE", path)
    return taxonomy.__wrapped__()


def test_a_file_is_read_in_its_own_order(monkeypatch, tmp_path):
    found = read(monkeypatch, tmp_path, ["B", "A/C", "A"])
    assert found.version == "2.0.0"
    assert found.labels[1] == Label(name="A/C", en="One.", zh="一。", forms=("Image",))
    assert [label.name for label in found.labels] == ["B", "A/C", "A"]


def test_a_repeated_label_is_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"repeats \['A/B'\]"):
        read(monkeypatch, tmp_path, ["A", "A/B", "A/B"])


def test_a_second_level_without_its_first_is_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"lacks the first-level labels \['C'\]"):
        read(monkeypatch, tmp_path, ["A", "A/B", "C/D"])
