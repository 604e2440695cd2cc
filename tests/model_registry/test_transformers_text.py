"""Encoders and classifiers of Transformers, on small random checkpoints, against Transformers' own arithmetic."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model_registry.errors import NightjarError
from model_registry.model import InputKind, ModelRef, ModelSpec, predict_all
from model_registry.models.text.transformers_text import MAX_CHARACTERS, TransformersClassifier, TransformersTower

ROW, DIMENSIONS = "tiny-bert", 16
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", *"你好今天给大家做一道番茄炒蛋加微信"]


def spec(name, **rest):
    return ModelSpec(name=name, version="1", reads=InputKind.TEXT, artifacts=(ROW,), max_batch=8, **rest)


class TinyTower(TransformersTower):
    spec = spec("tiny_tower", embedding_dim=DIMENSIONS)


class FirstToken(TransformersTower):
    spec = spec("first_token", embedding_dim=DIMENSIONS)
    pooling = "first"


class Prefixed(TransformersTower):
    spec = spec("prefixed", embedding_dim=DIMENSIONS)
    prefix = "a b "


class Wide(TransformersTower):
    spec = spec("wide", embedding_dim=32)


class Judge(TransformersClassifier):
    spec = spec("judge", labels=("Abuse/Insult", "Gambling"))
    classes: ClassVar = {"Gambling": "bet", "Abuse/Insult": "rude"}


class Strict(TransformersClassifier):
    spec = spec("strict", labels=("Abuse/Threat",))
    classes: ClassVar = {"Abuse/Threat": "threat"}


def write(folder, kind, **rest):
    """A BERT of two layers with random weights, its tokenizer one letter a token."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    sizes = {"hidden_size": DIMENSIONS, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=64, **sizes, **rest)
    net = getattr(transformers, kind)(config).eval()
    for weight in net.parameters():  # as drawn, all texts would lie close together
        weight.data.normal_(std=0.5)
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bert") / "encoder", "BertModel")


def classifier(folder, problem):
    names = {"id2label": {0: "fine", 1: "bet", 2: "rude"}, "label2id": {"fine": 0, "bet": 1, "rude": 2}}
    return write(folder, "BertForSequenceClassification", problem_type=problem, **names)


def plain(kind, folder, text):
    """Transformers by itself, one text at a time."""
    import transformers

    net = getattr(transformers, kind).from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        return net(**tokens)


def load(model, folder):
    return model.load({ROW: folder}, "cpu")


# Towers


@pytest.mark.parametrize("text", ["你好", "hello there", "今天 番茄 炒蛋 加微信"])
def test_the_mean_of_the_tokens_is_that_of_transformers(encoder, text):
    hidden_TD = plain("BertModel", encoder, text).last_hidden_state[0].numpy()
    wanted_D = hidden_TD.mean(axis=0) / np.linalg.norm(hidden_TD.mean(axis=0))
    padded = load(TinyTower, encoder).predict([text, "a much longer line so that the first is padded"])[0]
    np.testing.assert_allclose(padded, wanted_D, atol=1e-5)


def test_the_first_token_is_that_of_transformers(encoder):
    hidden_D = plain("BertModel", encoder, "hello there").last_hidden_state[0, 0].numpy()
    found_D = load(FirstToken, encoder).predict(["hello there", "x"])[0]
    np.testing.assert_allclose(found_D, hidden_D / np.linalg.norm(hidden_D), atol=1e-5)


def test_a_prefix_stands_before_each_text(encoder):
    np.testing.assert_allclose(
        load(Prefixed, encoder).predict(["cd"]), load(TinyTower, encoder).predict(["a b cd"]), atol=1e-6
    )


def test_a_tower_keeps_the_contract(encoder):
    model = load(TinyTower, encoder)
    examples = model.examples()
    vectors_ND = predict_all(model, examples)
    assert vectors_ND.shape == (len(examples), DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(predict_all(model, examples[::-1])[::-1], vectors_ND, atol=1e-5)
    assert len(np.unique(vectors_ND.round(4), axis=0)) == len(examples)
    assert model.predict([]) == []


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "a" * 1_000_000, "a " * 500_000])
def test_hostile_text_is_embedded(encoder, text):
    [vector_D] = load(TinyTower, encoder).predict([text])
    assert np.linalg.norm(vector_D) == pytest.approx(1.0, rel=1e-5)


def test_the_tokenizer_is_spared_what_it_would_cut_off(encoder, monkeypatch):
    model, given = load(TinyTower, encoder), []
    tokenizer = model.tokenizer
    monkeypatch.setattr(model, "tokenizer", lambda texts, **rest: given.extend(texts) or tokenizer(texts, **rest))
    model.predict(["a" * 1_000_000])
    assert list(map(len, given)) == [MAX_CHARACTERS]


# Classifiers


def test_classes_that_exclude_each_other_share_one(tmp_path):
    folder = classifier(tmp_path / "bert", "single_label_classification")
    scores_C = plain("AutoModelForSequenceClassification", folder, "hello").logits[0].softmax(0).numpy()
    np.testing.assert_allclose(load(Judge, folder).predict(["hello", "x y z"])[0], scores_C[[2, 1]], atol=1e-5)


def test_classes_that_may_be_true_together_score_each(tmp_path):
    folder = classifier(tmp_path / "bert", "multi_label_classification")
    scores_C = plain("AutoModelForSequenceClassification", folder, "hello").logits[0].sigmoid().numpy()
    np.testing.assert_allclose(load(Judge, folder).predict(["hello", "x y z"])[0], scores_C[[2, 1]], atol=1e-5)


def test_a_model_is_loaded_by_its_implementation_path(encoder):
    ref = ModelRef("tiny_tower", "1", f"{__name__}:TinyTower", ((ROW, str(encoder)),))
    assert ref.load("cpu").predict(["hello"])[0].shape == (DIMENSIONS,)


# Files


def test_another_width_is_refused(encoder):
    with pytest.raises(NightjarError, match=f"^{encoder} is not a checkpoint of wide: .* 16 dimensions, wanted 32$"):
        load(Wide, encoder)


def test_a_class_that_is_not_there_is_refused(tmp_path):
    folder = classifier(tmp_path / "bert", None)
    with pytest.raises(NightjarError, match=r"of strict: it has the classes bet, fine, rude; wanted threat$"):
        load(Strict, folder)


def test_an_encoder_is_no_classifier(encoder):
    """Its last layer would be drawn at random."""
    with pytest.raises(
        NightjarError, match=r"of judge: (2 weights are missing, classifier.bias among them|it has the)"
    ):
        load(Judge, encoder)


def test_a_lost_weight_is_refused(tmp_path):
    folder = write(tmp_path / "bert", "BertModel")
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NightjarError, match=r"1 weights are missing, encoder.layer.1.output.dense.weight among them$"):
        load(TinyTower, folder)


def test_a_pickle_is_not_unpacked(tmp_path):
    folder = write(tmp_path / "bert", "BertModel")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(NightjarError, match=f"^{folder} is not a checkpoint of tiny_tower: "):
        load(TinyTower, folder)


@pytest.mark.parametrize("content", [b"", b"not what anybody wants" * 100])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    folder = write(tmp_path / "bert", "BertModel")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(NightjarError, match=f"^{folder} is not a checkpoint of tiny_tower: [^\n]+$"):
        load(TinyTower, folder)


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"{}")
    with pytest.raises(NightjarError, match=r"it is no folder with a config.json in it$"):
        load(TinyTower, path)
