"""The OpenAPI document against the running server: generated requests, right and wrong, and every wrong key."""

from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OPEN = {"/healthz", "/readyz"}
MODELS = ["stub", "the-usual", "homespun/auto", "embedder", "nope"]


@pytest.fixture(scope="module")
def document(server: Any) -> Any:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.get(f"{server.root}/openapi.json", headers=headers).raise_for_status().json()


def operations(document: Any) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, item in document["paths"].items() for method in item]


def fuzz(server: Any, document: Any, modes: list[Any], examples: int) -> set[int]:
    """Sends generated requests to every operation; returns the statuses seen."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.root)
    schema.config.generation.update(modes=modes)
    seen: set[int] = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), model=st.sampled_from(MODELS))
        def call(case: Any, model: str) -> None:
            if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.body["model"]:
                case.body["model"] = model
            response = case.call(headers={"Authorization": f"Bearer {server.key}"})
            seen.add(response.status_code)
            case.validate_response(response, checks=CHECKS)

        call()
    return seen


def test_right_requests(server: Any, document: Any) -> None:
    seen = fuzz(server, document, [schemathesis.GenerationMode.POSITIVE], 12)
    assert 200 in seen
    assert not {status for status in seen if status >= 500}


def test_wrong_requests(server: Any, document: Any) -> None:
    seen = fuzz(server, document, [schemathesis.GenerationMode.NEGATIVE], 10)
    assert 400 in seen
    assert not {status for status in seen if status >= 500}


def test_the_document_is_openapi_and_names_every_endpoint(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    paths = {"/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/responses", "/v1/models", "/v1/feedback"}
    assert paths <= set(document["paths"])
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


WRONG: dict[str, dict[str, str]] = {
    "no key": {},
    "a wrong key": {"Authorization": "Bearer hs-wrong"},
    "no scheme": {"Authorization": "hs-wrong"},
    "another scheme": {"Authorization": "Basic aHM6d3Jvbmc="},
    "a scheme alone": {"Authorization": "Bearer"},
    "another header": {"x-api-key": "hs-wrong"},
    "an empty header": {"x-api-key": ""},
    "a long key": {"Authorization": "Bearer hs-" + "x" * 5000},
}


@pytest.mark.parametrize("how", WRONG)
def test_nothing_without_a_key(server: Any, document: Any, how: str) -> None:
    with httpx.Client(base_url=server.root) as client:
        for method, path in operations(document):
            if path not in OPEN:
                place = path.replace("{", "").replace("}", "")
                response = client.request(method, place, headers=WRONG[how], json={} if method == "POST" else None)
                assert response.status_code == 401, (method, path, response.text[:200])
                assert response.headers["www-authenticate"] == "Bearer"
                assert "error" in response.json()


def test_any_header_that_is_no_key_is_refused(server: Any) -> None:
    with httpx.Client() as client:

        @settings(max_examples=40)
        @given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40))
        def refused(text: str) -> None:
            for value in (text, f"Bearer {text}"):
                headers = [(b"Authorization", value.strip().encode("latin-1"))]
                response = client.post(f"{server.url}/chat/completions", headers=headers, json={"model": "stub"})
                assert response.status_code == 401
                assert response.json()["error"]["code"] == "invalid_api_key"

        refused()
