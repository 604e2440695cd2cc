"""OpenAI's own client, pointed at our door."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import openai
import pytest

from model_registry.labels import taxonomy
from pipelines.serving.api.door import build
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.api.moderations import CATEGORIES, result
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Answer
from tests.pipelines.serving.api.server import served
from tests.serving_fakes import FakeChecker

PICTURE = "data:image/png;base64," + base64.b64encode(b"risky").decode()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[tuple[str, str, str]]:
    keys = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json")
    _, token = keys.create("moderator", ["moderations"])
    _, other = keys.create("other", ["check"])
    checker = FakeChecker()
    with served(build(lambda: checker, Settings(keys=keys.path, most_texts=4))) as url:
        yield f"{url}/v1", token, other


@pytest.fixture
def client(address) -> openai.OpenAI:
    url, token, _ = address
    return openai.OpenAI(base_url=url, api_key=token, max_retries=0)


def test_a_text(client):
    found = client.moderations.create(model="omni-moderation-latest", input="risky words")
    assert found.id.startswith("modr-")
    assert found.model == "fake@1+0"
    (one,) = found.results
    assert one.flagged
    assert one.categories.violence
    assert one.category_scores.violence == pytest.approx(0.9)
    assert one.category_applied_input_types.violence == ["text"]
    assert not one.categories.sexual
    assert one.category_scores.sexual == 0.0


def test_a_list_of_texts_has_a_result_each(client):
    found = client.moderations.create(input=["calm", "risky", ""])
    assert [one.flagged for one in found.results] == [False, True, False]


def test_parts_are_one_input(client):
    parts = [{"type": "text", "text": "calm"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    (one,) = client.moderations.create(input=parts).results
    assert one.flagged
    assert one.category_applied_input_types.violence == ["image"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["a"] * 5, "input has 5 entries, allowed are 4"),
        ([], "wanted a text, or a list"),
        ([{"type": "audio"}], "wanted an object of the type text or image_url"),
        ([{"type": "image_url", "image_url": {"url": "https://10.0.0.1/a.png"}}], "fetches no URIs"),
        ([{"type": "image_url", "image_url": {}}], "has no url"),
        (None, "wanted a text"),
    ],
)
def test_what_cannot_be_moderated_is_the_clients_own_error(client, said, words):
    with pytest.raises(openai.APIStatusError, match=words) as caught:
        client.moderations.create(input=said)
    assert caught.value.status_code in (400, 403)
    assert caught.value.code


def test_keys_are_the_clients_own_errors_too(address):
    url, _, other = address
    with pytest.raises(openai.AuthenticationError, match="not known, or was revoked"):
        openai.OpenAI(base_url=url, api_key="nj_wrong", max_retries=0).moderations.create(input="a")
    with pytest.raises(openai.PermissionDeniedError, match="scope moderations"):
        openai.OpenAI(base_url=url, api_key=other, max_retries=0).moderations.create(input="a")


def test_categories_are_openais_and_labels_are_ours(client):
    names = set(openai.types.moderation.Categories.model_fields)
    aliases = {field.alias or name for name, field in openai.types.moderation.Categories.model_fields.items()}
    assert set(CATEGORIES) == aliases
    assert len(names) == 13
    known = {label.name for label in taxonomy().labels}
    assert {label for own in CATEGORIES.values() for label in own} <= known


def test_a_label_speaks_for_its_categories_and_those_below_it():
    verdict = {"suggestion": "review", "labels": [{"label": "Abuse/Threat", "form": "Voice", "score": 0.7}]}
    seen = [{"label": "Violence/Graphic Violence", "form": "Image", "score": 0.4}]
    found = result([Answer(verdict, signals=seen)])
    flagged = {name for name, is_so in found["categories"].items() if is_so}
    assert flagged == {"harassment/threatening", "violence"}
    assert found["category_scores"]["violence"] == found["category_scores"]["violence/graphic"] == 0.4
    assert found["category_applied_input_types"]["violence"] == ["text"]
    assert found["nightjar"]["labels"] == verdict["labels"]
