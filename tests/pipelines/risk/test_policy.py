"""Policies: what ships loads, what is wrong is one sentence, the closest rule wins, no rule changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.errors import UsageError
from model_registry.labels import FORMS, taxonomy
from pipelines.risk.policy import POLICIES, Rule, Suggestion, load_policy, parse_policy
from pipelines.risk.signals import FLOOR
from pipelines.risk.verdicts import findings, suggestion
from tests.windows import seen

HEAD = 'name = "ours"\nversion = "1"\n'
RULE = '[[rule]]\nlabel = "Gambling"\nabstain = [0.4, 0.8]\n'
SHIPPED = sorted(path.stem for path in POLICIES.glob("*.toml"))


@pytest.fixture
def load(tmp_path):
    """Load a policy from its text or bytes."""

    def loaded(content: str | bytes):
        path = tmp_path / "ours.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_policy(str(path))

    return loaded


@pytest.fixture
def refused(load):
    """The one sentence with which a policy is refused."""

    def sentence(content: str | bytes) -> str:
        with pytest.raises(UsageError) as refusal:
            load(content)
        said = str(refusal.value)
        assert said.startswith("policy ")
        assert "ours.toml" in said
        assert "\n" not in said
        return said.partition("ours.toml")[2].removeprefix(": ")

    return sentence


def policy(*rules: dict):
    return parse_policy({"name": "ours", "version": "1", "rule": list(rules)}, "0" * 64)


def rule(label="Gambling", low=0.4, high=0.8, **more) -> dict:
    return {"label": label, "abstain": [low, high], **more}


class TestShipped:
    def test_there_are_two(self):
        assert SHIPPED == ["default", "strict"]

    @pytest.mark.parametrize("name", SHIPPED)
    def test_it_loads_and_says_who_it_is(self, name):
        found = load_policy(name)

        assert found.name == name
        assert found.id.startswith(f"{name}@{found.version}+")
        assert found.taxonomy == taxonomy().version
        assert len(found.rules) >= 8

    def test_default_blocks_nothing_without_a_person(self):
        assert {found.action for found in load_policy("default").rules} == {Suggestion.REVIEW}

    def test_strict_blocks_two_labels(self):
        blocking = {found.label for found in load_policy("strict").rules if found.action is Suggestion.BLOCK}

        assert blocking == {"Explicit", "Hate Symbols"}

    def test_strict_asks_for_less_in_every_rule(self):
        strict = {(rule.label, rule.models, rule.forms): rule for rule in load_policy("strict").rules}
        for rule in load_policy("default").rules:
            other = strict[rule.label, rule.models, rule.forms]
            assert all(low <= high for low, high in zip(other.abstain, rule.abstain, strict=True))
            assert (other.smooth_ms, other.severity) == (rule.smooth_ms, rule.severity)
            assert other.min_duration_ms <= rule.min_duration_ms
            assert other.gap_ms >= rule.gap_ms

    @pytest.mark.parametrize(("name", "wanted"), [("default", Suggestion.REVIEW), ("strict", Suggestion.BLOCK)])
    def test_a_single_frame_of_nudity_is_enough(self, name, wanted):
        flash = [seen(0.95, 9000, 10_000, "Explicit/Explicit Nudity")]

        assert [f.suggestion for f in findings(flash, load_policy(name), 20_000)] == [wanted]

    def test_a_single_frame_of_violence_is_a_fluke(self):
        flash = [seen(0.95, 9000, 10_000, "Violence/Graphic Violence")]

        assert findings(flash, load_policy("default"), 20_000) == []


SOURCES = ("imagenet_weapons@1", "zero_shot_clip@1")
RULED = sorted({rule.label for rule in load_policy("default").rules})


def some_signals(labels: list[str], most: int):
    """Back to back or apart, on a grid of half seconds, mostly high."""

    def build(label, source, score, start, length):
        return seen(score, start * 500, (start + length) * 500, label, source=source)

    scores = st.floats(0.2, 1) | st.floats(FLOOR, 1)
    one = st.builds(
        build, st.sampled_from(labels), st.sampled_from(SOURCES), scores, st.integers(0, 16), st.integers(0, 8)
    )
    return st.lists(one, max_size=most)


any_signals = some_signals(sorted(taxonomy().names()), 12)
signals_of_one_rule = st.sampled_from(RULED).flatmap(lambda label: some_signals([label], 6))


@settings(max_examples=300, deadline=None)
@given(signals_of_one_rule | any_signals, st.integers(0, 20_000))
def test_strict_is_never_milder_than_default(signals, duration_ms):
    mild, strict = (findings(signals, load_policy(name), duration_ms) for name in ("default", "strict"))

    assert suggestion(strict, complete=True).rank >= suggestion(mild, complete=True).rank
    for finding in mild:
        assert any(
            (other.label, other.form) == (finding.label, finding.form)
            and other.suggestion.rank >= finding.suggestion.rank
            and other.start_ms <= finding.start_ms
            and other.end_ms >= finding.end_ms
            for other in strict
        ), f"strict does not see {finding}"


class TestTerritory:
    def test_the_whole_world_unless_said_otherwise(self, load):
        assert load(HEAD + RULE).territory == "*"
        assert load(HEAD + 'territory = "JP"\n' + RULE).territory == "JP"

    @pytest.mark.parametrize("said", ['"jp"', '"Japan"', '""', "1", '["US"]'])
    def test_anything_but_a_country_or_the_world_is_refused(self, refused, said):
        assert "wanted a country such as 'US', or '*'" in refused(f"{HEAD}territory = {said}\n{RULE}")


class TestIdentity:
    def test_one_byte_makes_another_policy(self, load):
        first, second = load(HEAD + RULE), load(HEAD + RULE + "\n")

        assert first.rules == second.rules
        assert first.id != second.id
        assert first.id == load(HEAD + RULE).id

    def test_a_mark_at_the_start_of_the_file_is_no_fault(self, load):
        assert load(b"\xef\xbb\xbf" + (HEAD + RULE).encode()).rules == load(HEAD + RULE).rules

    def test_windows_line_ends_are_no_fault(self, load):
        assert load((HEAD + RULE).replace("\n", "\r\n")).rules == load(HEAD + RULE).rules

    def test_a_policy_without_rules_watches_in_silence(self, load):
        assert load(HEAD).rules == ()


FAULTS = {
    "unknown label": (RULE.replace("Gambling", "Gamblin"), "label 'Gamblin' is not in taxonomy"),
    "label of a wrong type": (RULE.replace('"Gambling"', "3"), "rule 1: label is 3, wanted a label in quotes"),
    "no label": ("[[rule]]\nabstain = [0.4, 0.8]\n", "rule 1 lacks label, wanted a label in quotes"),
    "no abstain": ('[[rule]]\nlabel = "Gambling"\n', "rule for 'Gambling' lacks abstain, wanted [low, high]"),
    "swapped": (
        RULE.replace("0.4, 0.8", "0.8, 0.4"),
        "rule for 'Gambling': abstain is [0.8, 0.4], wanted 0.02 <= low <= high <= 1",
    ),
    "below the floor": (
        RULE.replace("0.4", "0.01"),
        "rule for 'Gambling': abstain is [0.01, 0.8], wanted 0.02 <= low <= high <= 1",
    ),
    "above one": (
        RULE.replace("0.8", "80"),
        "rule for 'Gambling': abstain is [0.4, 80], wanted 0.02 <= low <= high <= 1",
    ),
    "no number": (
        RULE.replace("0.4", "nan"),
        "rule for 'Gambling': abstain is [nan, 0.8], wanted 0.02 <= low <= high <= 1",
    ),
    "one threshold": (RULE.replace("[0.4, 0.8]", "0.4"), "rule for 'Gambling': abstain is 0.4, wanted [low, high]"),
    "three thresholds": (RULE.replace("[0.4,", "[0.1, 0.4,"), "abstain is [0.1, 0.4, 0.8], wanted [low, high]"),
    "true is no threshold": (RULE.replace("0.4, 0.8", "true, 1"), "abstain is [True, 1], wanted [low, high]"),
    "unknown key": (
        RULE + "severty = 3\n",
        "rule for 'Gambling' has 'severty'; allowed: label, abstain, action, in_doubt, models, forms, hold, "
        "smooth_ms, gap_ms, min_duration_ms, severity",
    ),
    "unknown action": (
        RULE + 'action = "delete"\n',
        "rule for 'Gambling': action is 'delete', wanted one of pass, review, block",
    ),
    "action of a wrong type": (RULE + "in_doubt = true\n", "in_doubt is True, wanted one of pass, review, block"),
    "doubt graver than certainty": (
        RULE + 'in_doubt = "block"\n',
        "rule for 'Gambling': in_doubt is block, wanted nothing graver than action, review",
    ),
    "forms is a text": (
        RULE + 'forms = "Image"\n',
        "rule for 'Gambling': forms is 'Image', wanted a list of Image, Voice, OCR, Audio, Text",
    ),
    "unknown form": (RULE + 'forms = ["Smell"]\n', "forms is ['Smell'], wanted a list of Image, Voice"),
    "no form": (RULE + "forms = []\n", "forms is [], wanted a list of Image, Voice"),
    "severity is a text": (RULE + 'severity = "x"\n', "severity is 'x', wanted a whole number from 1 to 5"),
    "severity out of range": (RULE + "severity = 6\n", "rule for 'Gambling': severity is 6, wanted 1 to 5"),
    "severity in between": (RULE + "severity = 2.5\n", "severity is 2.5, wanted a whole number from 1 to 5"),
    "negative time": (RULE + "gap_ms = -1\n", "rule for 'Gambling': gap_ms is -1, wanted 0 or more"),
    "time is a text": (RULE + 'smooth_ms = "2s"\n', "smooth_ms is '2s', wanted a whole number"),
    "hold above low": (RULE + "hold = 0.5\n", "rule for 'Gambling': hold is 0.5, wanted 0.02 to 0.4"),
    "hold is a text": (RULE + 'hold = "x"\n', "hold is 'x', wanted a number"),
    "models is a number": (RULE + "models = 1\n", "models is 1, wanted a model's name or pattern in quotes"),
    "rule is no table": ('rule = "Gambling"\n', "it: rule is 'Gambling', wanted tables headed [[rule]]"),
    "rule is one table": ("[rule]\nlabel = 'Gambling'\n", "it: rule is {'label': 'Gambling'}, wanted tables headed"),
    "misspelt rule": (RULE.replace("rule", "rules"), "it has 'rules'; allowed: name, version, territory, rule"),
    "twice the same": (RULE + RULE, "there are two rules for 'Gambling' with the same models and forms"),
    "the same forms in another order": (
        RULE + 'forms = ["Image", "OCR"]\n' + RULE + 'forms = ["OCR", "Image"]\n',
        "there are two rules for 'Gambling' with the same models and forms",
    ),
    "bad TOML": ("[[rule]\n", "(at line 3, column"),
}


class TestFaults:
    @pytest.mark.parametrize(("rules", "expected"), FAULTS.values(), ids=FAULTS)
    def test_a_faulty_rule_is_one_sentence(self, refused, rules, expected):
        assert expected in refused(HEAD + rules)

    @pytest.mark.parametrize("name", ["name", "version"])
    def test_a_policy_needs_a_name_and_a_version(self, refused, name):
        kept = "".join(line + "\n" for line in HEAD.splitlines() if not line.startswith(name))

        assert refused(kept + RULE) == f"it lacks {name}, wanted letters, digits, '.', '_' or '-' in quotes"

    @pytest.mark.parametrize("value", ['"../../etc"', '""', '"a b"', "1", "1.10", '"-x"'])
    def test_a_name_becomes_part_of_a_path_and_must_be_fit_for_it(self, refused, value):
        assert "it: version is " in refused(HEAD.replace('"1"', value) + RULE)

    def test_a_file_that_is_not_utf8(self, refused):
        assert (
            refused(HEAD.encode() + "# café".encode("latin-1")) == "byte 34 is not UTF-8; save the file as UTF-8 text"
        )

    @pytest.mark.parametrize("name", ["lenient", "", "no/such.toml", "../policies/default", "x" * 5000, "a\0b"])
    def test_an_unknown_name_lists_what_ships(self, name):
        with pytest.raises(UsageError, match=r"is no file and none of the shipped ones \(default, strict\)$"):
            load_policy(name)

    def test_a_folder_is_no_policy(self, tmp_path):
        with pytest.raises(UsageError, match="is no file"):
            load_policy(str(tmp_path))

    def test_a_file_that_cannot_be_read(self, load, monkeypatch):
        def refuse(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
        with pytest.raises(UsageError, match=r"ours\.toml cannot be read: Permission denied"):
            load(HEAD)


class TestRuleFor:
    def test_the_second_level_goes_before_the_first(self):
        ours = policy(rule("Violence"), rule("Violence/Weapons", severity=5))

        assert ours.rule_for(seen(0.9, 0, 1, "Violence/Weapons")).severity == 5
        assert ours.rule_for(seen(0.9, 0, 1, "Violence/Graphic Violence")).severity == 3

    def test_the_label_goes_before_the_model(self):
        ours = policy(rule("Violence", models="zero_shot_clip"), rule("Violence/Weapons", severity=5))

        assert ours.rule_for(seen(0.9, 0, 1, "Violence/Weapons")).severity == 5

    def test_a_named_model_goes_before_a_pattern(self):
        ours = policy(rule(models="zero_shot_*"), rule(models="zero_shot_clip", severity=5), rule(severity=1))

        assert ours.rule_for(seen(0.9, 0, 1, source="zero_shot_clip@1")).severity == 5
        assert ours.rule_for(seen(0.9, 0, 1, source="zero_shot_siglip@1")).severity == 3
        assert ours.rule_for(seen(0.9, 0, 1, source="other@zero_shot_clip")).severity == 1

    def test_a_rule_for_some_forms_goes_before_one_for_all(self):
        ours = policy(rule(), rule(forms=["OCR"], severity=5))

        assert ours.rule_for(seen(0.9, 0, 1, form="OCR")).severity == 5
        assert ours.rule_for(seen(0.9, 0, 1, form="Image")).severity == 3

    @pytest.mark.parametrize(
        "signal",
        [
            seen(0.9, 0, 1, "Alcohol"),
            seen(0.9, 0, 1, "Gambling", form="Voice"),
            seen(0.9, 0, 1, "Gambling", source="other@1"),
        ],
    )
    def test_no_rule_is_shadow_mode(self, signal):
        ours = policy(rule(forms=["Image"], models="zero_shot_clip"))

        assert ours.rule_for(signal) is None

    def test_a_label_whose_name_only_begins_alike_is_not_covered(self):
        assert policy(rule("Violence")).rule_for(seen(0.9, 0, 1, "Violence")) is not None
        assert (
            policy(rule("Explicit")).rule_for(seen(0.9, 0, 1, "Non-Explicit Nudity of Intimate parts and Kissing"))
            is None
        )


@settings(max_examples=100, deadline=None)
@given(any_signals, any_signals, st.integers(0, 20_000))
def test_in_shadow_mode_nothing_changes(signals, more, duration_ms):
    ours = policy(rule("Explicit"), rule("Gambling", models="open_nsfw"))
    silent = [signal for signal in more if ours.rule_for(signal) is None]

    assert findings([*signals, *silent], ours, duration_ms) == findings(signals, ours, duration_ms)


class TestRule:
    def test_thresholds_are_inclusive(self):
        ours = Rule(label="Gambling", abstain=(0.4, 0.8), action=Suggestion.BLOCK)

        assert ours.suggests(0.8) is Suggestion.BLOCK
        assert ours.suggests(0.79) is Suggestion.REVIEW

    def test_a_segment_goes_on_down_to_four_fifths_of_low(self):
        assert Rule(label="Gambling", abstain=(0.5, 0.8)).shape.hold == pytest.approx(0.4)
        assert Rule(label="Gambling", abstain=(0.5, 0.8), hold=0.1).shape.hold == 0.1
        assert Rule(label="Gambling", abstain=(FLOOR, 0.8)).shape.hold == FLOOR

    def test_all_forms_unless_said_otherwise(self):
        assert policy(rule()).rules[0].forms == FORMS
