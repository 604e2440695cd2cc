"""`models fit`: from labelled lines to a registered version that a bundle runs."""

import argparse

import pytest

from jobs import models_fit
from model_registry import store
from model_registry.bundles import pin_model
from model_registry.errors import UsageError
from model_registry.model import predict_all
from model_registry.models.text.heads import ARTIFACT, LABELS, Heads
from pipelines.text.semantics.labelled import COLUMNS, read_lines, shipped
from pipelines.text.semantics.measure import Measured

pytestmark = pytest.mark.usefixtures("registry")


def fit(*words):
    parser = argparse.ArgumentParser()
    models_fit.add_arguments(parser)
    return models_fit.run(parser.parse_args([str(word) for word in words]))


def write(path, lines):
    rows = ["\t".join((line.group, line.language, line.form, ";".join(line.labels), line.text)) for line in lines]
    path.write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def third(tmp_path_factory):
    """Each third shipped line, which is enough."""
    return write(tmp_path_factory.mktemp("lines") / "third.tsv", read_lines(shipped())[::3])


def weights_of(ref):
    return Heads.read(dict(ref.weights)[ARTIFACT])


def test_a_fit_becomes_the_challenger(third, loaded, capsys):
    loaded("universal_sentences")  # skips where its files cannot be had
    assert fit("--without-shipped", "--lines", third) == 0
    shown = capsys.readouterr().out
    assert "text_heads_universal version 1 is challenger" in shown
    assert shown.count("\n") > 3 * len(LABELS)  # a row a label, and one a language of it

    assert store.registered_versions("text_heads_universal") == {"1": ("challenger",)}
    assert pin_model("text_heads_universal").version == "1.1.0"
    ref = pin_model("text_heads_universal", "challenger")
    heads = weights_of(ref)
    assert heads.labels == LABELS
    assert heads.tower == "universal_sentences@1.0.0"
    assert heads.notes["lines"] == len(read_lines([third]))

    line = predict_all(loaded("universal_sentences"), ["真人百家乐线上赌场注册就送彩金"])
    assert LABELS[int(ref.load().predict(list(line))[0].argmax())] == "Gambling"


def test_the_run_is_written_down(third, loaded):
    loaded("universal_sentences")
    fit("--without-shipped", "--lines", third, "--promote")
    client = store.connect()
    experiment = client.get_experiment_by_name("nightjar")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.params["lines"] == str(len(read_lines([third])))
    assert run.data.tags["version"] == "1"
    assert run.data.metrics["average_precision/Gambling/all"] > 0.3
    assert {"recall/Drugs and Tobacco-Products/zh", "lost/Abuse-Insult/en"} <= set(run.data.metrics)
    assert store.registered_versions("text_heads_universal") == {"1": ("champion",)}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("g\ten\tText\tAlcohol\tcheers", "no head scores the label 'Alcohol'; allowed: Gambling, "),
        ("g\ten\tText\tNonsense\tcheers", "row 2: label 'Nonsense' is not in the taxonomy"),
    ],
)
def test_a_label_that_cannot_be_fitted_is_one_sentence(row, sentence, tmp_path, loaded):
    loaded("universal_sentences")
    path = tmp_path / "ours.tsv"
    path.write_text("\t".join(COLUMNS) + f"\n{row}\n", "utf-8")
    with pytest.raises(UsageError, match=sentence):
        fit("--lines", path)
    assert store.registered_versions("text_heads_universal") == {}


def test_too_few_lines_of_a_label_are_one_sentence(tmp_path, loaded):
    loaded("universal_sentences")
    few = [line for line in read_lines(shipped()) if "Gambling" not in line.labels or line.group == "gam-slots"]
    with pytest.raises(UsageError, match=r"^label 'Gambling' has \d+ lines in 1 groups, wanted at least 20 in 5$"):
        fit("--without-shipped", "--lines", write(tmp_path / "few.tsv", few))


def test_a_model_without_heads_is_refused():
    with pytest.raises(
        UsageError, match=r"^model open_nsfw has no heads to fit; allowed: text_heads_universal, text_heads_ngrams$"
    ):
        fit("open_nsfw")


def test_a_share_of_nothing_is_no_metric():
    row = Measured("Abuse/Insult", "zh", 0, float("nan"), float("nan"), 0.5, 0, 0, 0, 0, 0, 0.1)
    assert set(models_fit.metrics_of([row])) == {
        f"{share}/Abuse-Insult/zh"
        for share in ("recall", "lost", "raised", "in_doubt", "false_alarms", "false_doubts", "calibration_error")
    }
