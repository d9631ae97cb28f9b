"""The description at /v3/openapi.json: valid, complete beside the published reference, with errors and examples."""

import copy
import json
import re
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis

from reference_operations import OPERATIONS
from ticketing.app import description
from ticketing.web.errors import GENERAL_NOT_FOUND, RESTRICTED, UNAUTHENTICATED

ONE_KEY = {
    ("message", UNAUTHENTICATED),
    ("message", RESTRICTED),
    ("error", GENERAL_NOT_FOUND),
    ("error", "Please upgrade your client to complete this request"),
    ("message", "There was a server error while excuting this request. Please see system logs for details."),
}

DESCRIPTION: dict[str, Any] = json.loads(description())
DESCRIBED = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
}
REFERENCE = {operation_id: (method, path, tag, summary) for method, path, operation_id, tag, summary in OPERATIONS}

each_operation = pytest.mark.parametrize("operation", [one[2] for one in DESCRIBED.values()], ids=list(DESCRIBED))


async def test_it_is_served_to_everybody(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v3/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DESCRIPTION


def test_it_is_valid_openapi_3_1() -> None:
    assert DESCRIPTION["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(copy.deepcopy(DESCRIPTION)).validate()
    broken = copy.deepcopy(DESCRIPTION)
    broken["paths"]["/events"]["get"]["parameters"][0]["in"] = "nowhere"
    with pytest.raises(jsonschema_rs.ValidationError, match="nowhere"):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', description().decode()))
    assert named == set(DESCRIPTION["components"]["schemas"])


def test_the_reference_has_78_operations() -> None:
    assert len(REFERENCE) == len(OPERATIONS) == 78


def test_all_operations_of_the_reference_are_there() -> None:
    assert set(REFERENCE) <= set(DESCRIBED)


@pytest.mark.parametrize("operation_id", sorted(REFERENCE))
def test_operations_are_described_as_in_the_reference(operation_id: str) -> None:
    method, path, operation = DESCRIBED[operation_id]
    found = (method, path, operation["tags"], operation["summary"])
    wanted_method, wanted_path, tag, summary = REFERENCE[operation_id]
    assert found == (wanted_method, wanted_path, [tag], summary)


def test_all_operations_stand_under_the_tags_of_the_reference_in_its_order() -> None:
    tags = list(dict.fromkeys(tag for _, _, tag, _ in REFERENCE.values()))
    assert [tag["name"] for tag in DESCRIPTION["tags"]] == tags
    assert {tag for _, _, one in DESCRIBED.values() for tag in one["tags"]} == set(tags)


@each_operation
def test_parameters_are_declared_once_and_both_headers_are_asked_for(operation: dict[str, Any]) -> None:
    method, path, _ = DESCRIBED[operation["operationId"]]
    named = [(one["in"], one["name"]) for one in operation["parameters"]]
    assert len(named) == len(set(named))
    assert [name for place, name in named if place == "path"] == re.findall(r"{(\w+)}", path)
    assert ("header", "X-Client-Version") in named
    assert (("header", "Idempotency-Key") in named) is (method == "POST")
    assert DESCRIPTION["security"] == [{"SessionKey": []}]


@each_operation
def test_errors_have_a_schema_and_true_examples(operation: dict[str, Any]) -> None:
    error = jsonschema_rs.validator_for(DESCRIPTION["components"]["schemas"]["Error"])
    wanted = {"401", "403", "412", "429", "500", "503"}
    wanted |= {"400", "413"} if "requestBody" in operation else set()
    refusals = {status: one for status, one in operation["responses"].items() if status[0] in "45"}
    assert wanted <= set(refusals)
    for status, response in refusals.items():
        media = response["content"]["application/json"]
        assert media["schema"] == {"$ref": "#/components/schemas/Error"}
        assert media["examples"], status
        for example in media["examples"].values():
            body = dict(example["value"])
            error.validate(body)
            details = body.pop("details", {})
            assert details or status not in ("400", "409"), body
            is_both = set(body) == {"error", "message"} and body["error"] == body["message"]
            assert is_both or (set(body.items()) <= ONE_KEY and not details), body


@each_operation
def test_the_example_of_a_missing_member_names_one_of_the_operation(operation: dict[str, Any]) -> None:
    if "requestBody" not in operation:
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    examples = operation["responses"]["400"]["content"]["application/json"]["examples"]
    texts = [one["value"]["error"] for one in examples.values()]
    said = [text for text in texts if text.startswith("The following arguments are required")]
    wanted = [
        f"The following arguments are required, but have not been supplied: {name}."
        for name in schema.get("required", [])
    ]
    assert said == wanted[:1]


@each_operation
def test_what_is_sent_has_an_example_that_fits_its_schema(operation: dict[str, Any]) -> None:
    if "requestBody" not in operation:
        return
    media = operation["requestBody"]["content"]["application/json"]
    assert operation["requestBody"]["required"] is bool(media["schema"].get("required"))
    assert set(media["schema"].get("required", [])) <= set(media["example"])
    jsonschema_rs.validator_for(media["schema"]).validate(media["example"])
    for name, member in media["schema"]["properties"].items():
        for example in member.get("examples", []):
            assert jsonschema_rs.is_valid(member, example), name


@each_operation
def test_what_is_answered_has_a_schema(operation: dict[str, Any]) -> None:
    answers = [one for status, one in operation["responses"].items() if status[0] == "2"]
    assert answers
    for answer in answers:
        for media in answer["content"].values():
            schema = media["schema"]
            assert "$ref" in schema or schema.get("type"), schema
