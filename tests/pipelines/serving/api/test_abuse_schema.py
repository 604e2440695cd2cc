"""The document says what is: what it allows is understood, what it forbids is no crash, and its examples work."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from pipelines.serving.api.door import build
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.api.settings import Settings
from pipelines.serving.videos import Videos
from tests.pipelines.serving.api.server import served
from tests.serving_fakes import FakeChecker

UNDERSTOOD = {200, 202, 403}  # 403: a URI, where none is fetched
QUIET = hypothesis.settings(
    max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_one_that_the_document_names(tmp_path, mode):
    videos, checker = Videos(tmp_path / "videos"), FakeChecker()
    answers: Counter[tuple[str, int]] = Counter()
    with served(build(lambda: checker, Settings(), videos)) as url:
        for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
            operation = found.ok()
            if operation.method == "get" and mode is GenerationMode.NEGATIVE:
                continue  # nothing of it can be wrong

            @QUIET
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                answer = case.call(base_url=url)
                answers[case.operation.path, answer.status_code] += 1
                assert str(answer.status_code) in case.operation.definition.raw["responses"], (case.body, answer.text)
                assert answer.status_code < 500, (case.body, answer.text)
                if mode is GenerationMode.POSITIVE and case.operation.path in ("/v1/check", "/v1/moderations"):
                    assert answer.status_code in UNDERSTOOD, (case.body, answer.text)

            ask()
    videos.close()
    wanted = 200 if mode is GenerationMode.POSITIVE else 400
    assert min(answers["/v1/check", wanted], answers["/v1/moderations", wanted]) >= 10, answers


def test_examples_are_understood_and_keys_are_named(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    _, token = keys.create("all")
    videos = Videos(tmp_path / "videos")
    client = TestClient(build(FakeChecker, Settings(keys=keys.path), videos), headers={"x-api-key": token})
    document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    examples = {
        path: said["post"]["requestBody"]["content"]["application/json"]["example"]
        for path, said in document["paths"].items()
        if "post" in said
    }
    assert set(examples) == {"/v1/check", "/v1/moderations", "/v1/videos"}
    for path, body in examples.items():
        answer = client.post(path, json=body)
        assert answer.status_code in UNDERSTOOD, (path, answer.text)
    assert "security" not in TestClient(build(FakeChecker, Settings())).get("/openapi.json").json()
    videos.close()
