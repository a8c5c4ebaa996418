"""The OpenAPI document: valid, and no answer of the service is missing from it."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from ops_service.app import create_app
from tests.running_ops import RunningOps, event, settings_for

Operation = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")


@pytest.fixture
def document(sqlite_url: str) -> dict[str, Any]:
    """What /openapi.json answers."""
    app = create_app(settings_for(sqlite_url))
    app.state.database.dispose()
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, Operation]]:
    return [
        (f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_every_schema_is_a_valid_one(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {"title", "version"} <= document["info"].keys()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})
        assert jsonschema_rs.meta.is_valid(schema), name


def test_operations_have_their_own_ids_and_a_summary(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 12
    assert [name for name, operation in operations(document) if not operation.get("description")] == []


def test_every_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ProblemBody"}, (name, status)


def test_every_guarded_route_describes_its_refusals(document: dict[str, Any]) -> None:
    guarded = [(name, operation) for name, operation in operations(document) if operation.get("security")]
    assert len(guarded) > 9
    for name, operation in guarded:
        statuses = {"401", "403", "422", "503"} | ({"404"} if "{" in name else set())
        assert statuses <= operation["responses"].keys(), name


def test_the_ingress_describes_every_row_of_the_contract_s_table(document: dict[str, Any]) -> None:
    paths = document["paths"]
    single = paths["/api/v1/webhooks/onboard"]["post"]["responses"].keys()
    batch = paths["/api/v1/webhooks/onboard/batch"]["post"]["responses"].keys()
    refusals = {"400", "401", "403", "413", "415", "422", "429", "503"}
    assert refusals | {"200", "201", "409"} <= single
    assert refusals | {"200", "207"} <= batch


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_answers_are_what_the_document_says(ops: RunningOps) -> None:
    ops.send(event("account.created", "s1", domain="acme.pt", data={"x": [1, None]}))
    ops.send(event("onboarding.failed", "s1", data={"code": "x"}))
    document = ops.get("/openapi.json")
    known = {"session_id": "s1", "position": "1", "ticket_id": "1"}
    for name, operation in operations(document):
        method, path = name.split()
        if method != "GET" or path.endswith("/stream"):  # which does not end
            continue
        answer = ops.http.get(path.format(**known))
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, (name, answer.status_code)
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if schema:
            jsonschema_rs.Draft202012Validator({**document, **schema}).validate(answer.json())
