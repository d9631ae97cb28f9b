"""The OpenAPI 3.1 description, made from the declarations the server itself works by."""

import re
from collections.abc import Sequence
from typing import Any, get_args, get_origin

import msgspec

from .callers import Level
from .errors import (
    GENERAL_NOT_FOUND,
    RESTRICTED,
    UNAUTHENTICATED,
    Busy,
    InvalidValues,
    Malformed,
    Missing,
    Refusal,
    TooLarge,
    TooManyRequests,
    about,
)
from .idempotency import BadKey, OtherRequest, StillProcessed
from .operations import Operation
from .paging import DEFAULT_RECORDS, MAXIMUM_RECORDS, Listing, NoSuchPage, Page
from .protocol import CRASH

INTRODUCTION = """\
Sell, hold, hand on and scan event tickets.

Every request carries two headers: `X-API-Key` (start a session, or ask an administrator for an integration) and
`X-Client-Version: 3.0.0`. Lists take `page`, `records`, `sort` and `order`; a POST may carry an `Idempotency-Key`.
"""


def describe(
    operations: Sequence[Operation], access: dict[str, frozenset[Level]], version: str, tags: Sequence[str]
) -> dict[str, Any]:
    """The description of these operations; `access` says which levels may call each.

    They stand in the order of `tags`, under others behind.
    """
    order = list(dict.fromkeys([*tags, *(operation.tag for operation in operations)]))
    operations = sorted(operations, key=lambda operation: order.index(operation.tag))
    types = {part for operation in operations for part in _parts(operation.answers)}
    _, components = msgspec.json.schema_components(sorted(types, key=str), ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, access[operation.id])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TickeTing REST API",
            "version": version,
            "description": INTRODUCTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v3"}],
        "security": [{"SessionKey": []}],
        "tags": [{"name": tag} for tag in order],
        "paths": paths,
        "components": {
            "securitySchemes": {"SessionKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "schemas": {
                **components,
                "Error": {
                    "type": "object",
                    "properties": {
                        "error": {"type": "string"},
                        "message": {"type": "string"},
                        "details": {
                            "type": "object",
                            "description": "what to do, a sentence for people under the name of each member, parameter"
                            " or header that it is about, or else under the noun of the thing; in every 400 and 409",
                            "additionalProperties": {"type": "string"},
                        },
                    },
                    "anyOf": [{"required": ["error"]}, {"required": ["message"]}],
                },
                "Message": {
                    "type": "object",
                    "properties": {"message": {"type": "string"}},
                    "required": ["message"],
                },
            },
        },
    }


def _parts(answers: Any) -> list[Any]:
    """The structs inside an answer's type."""
    if answers is None:
        return []
    if get_origin(answers) in (list, Page):
        return _parts(get_args(answers)[0])
    return [answers] if isinstance(answers, type) and issubclass(answers, msgspec.Struct) else []


def _answer_schema(operation: Operation) -> dict[str, Any]:
    if operation.media_type != "application/json":
        return {"type": "string", "format": "binary"}
    return _schema(operation.answers)


def _schema(answers: Any) -> dict[str, Any]:
    if answers is None:
        return {"$ref": "#/components/schemas/Message"}
    if isinstance(answers, dict):
        return answers
    if get_origin(answers) is list:
        return {"type": "array", "items": _schema(get_args(answers)[0])}
    if get_origin(answers) is Page:
        count = {"type": "integer", "minimum": 0}
        return {
            "type": "object",
            "properties": {
                "page": {**count, "minimum": 1},
                "records": count,
                "total": count,
                "entries": {"type": "array", "items": _schema(get_args(answers)[0])},
            },
            "required": ["page", "records", "total", "entries"],
        }
    return {"$ref": f"#/components/schemas/{answers.__name__}"}


def _operation(operation: Operation, levels: frozenset[Level]) -> dict[str, Any]:
    may = ", ".join(level for level in Level if level in levels)
    description: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nAccess levels: {may}.".strip(),
        "parameters": [*_path_parameters(operation.path), _CLIENT_VERSION, *_query_parameters(operation)],
        "responses": {
            str(operation.status): {
                "description": "Created" if operation.status == 201 else "OK",
                "content": {
                    operation.media_type: {"schema": _answer_schema(operation)},
                    **{media: {"schema": {"type": "string"}} for media in operation.other_media_types},
                },
            },
            **_errors(operation),
        },
    }
    if operation.method == "POST":
        description["parameters"].append(_IDEMPOTENCY_KEY)
    if operation.form:
        media: dict[str, Any] = {"schema": operation.form.schema()}
        if example := operation.form.example():
            media["example"] = example
        required = any(one.required for one in operation.form.fields)
        description["requestBody"] = {"required": required, "content": {"application/json": media}}
    return description


_CLIENT_VERSION = {
    "name": "X-Client-Version",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "default": "3.0.0"},
    "example": "3.0.0",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeats of the same request within 24 hours get the first answer again.",
    "schema": {"type": "string", "maxLength": 255},
}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters = [_query(name, schema) for name, schema in operation.filters.items()]
    if operation.listing:
        parameters += _listing_parameters(operation.listing)
    return parameters


def _listing_parameters(listing: Listing[Any]) -> list[dict[str, Any]]:
    parameters = [
        _query("page", {"type": "integer", "minimum": 1, "default": 1}),
        _query(
            "records",
            {"type": "integer", "minimum": 1, "maximum": MAXIMUM_RECORDS, "default": DEFAULT_RECORDS},
        ),
    ]
    if "order" not in listing.filters:
        parameters.append(_query("order", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}))
    if listing.sorts:
        parameters.append(_query("sort", {"type": "string", "enum": list(listing.sorts)}))
    return parameters + [_query(name, one.schema) for name, one in listing.filters.items()]


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": bool(schema.get("required")), "schema": _without(schema)}


def _without(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "required"}


def _errors(operation: Operation) -> dict[str, Any]:
    """Each status with an example body; those every operation may answer, and its own."""
    bodies: dict[int, dict[str, dict[str, Any]]] = {
        401: {"no key": {"message": UNAUTHENTICATED}},
        403: {"restricted": {"message": RESTRICTED}},
        412: {"upgrade": {"error": "Please upgrade your client to complete this request"}},
        429: {"too many": TooManyRequests(5, 10).body()},
        500: {"crash": CRASH},
        503: {"busy": Busy(1).body()},
    }
    if "{" in operation.path:
        bodies[404] = {"unknown": {"error": GENERAL_NOT_FOUND}}
    if operation.listing:
        bodies.setdefault(404, {})["no such page"] = NoSuchPage().body()
        bodies[400] = {
            "invalid": InvalidValues(about("records", f"must be a whole number from 1 to {MAXIMUM_RECORDS}")).body()
        }
    if operation.form:
        first = operation.form.fields[0]
        required = [operation.form.by_name[name] for name in operation.form.schema().get("required", [])[:1]]
        missing = {one.name: f"required: {one.kind.expects}" for one in required}
        bodies[400] = {"missing": Missing(missing).body()} if missing else {}
        bodies[400] |= {
            "invalid": InvalidValues(about(first.name, f"must be {first.kind.expects}")).body(),
            "malformed": Malformed().body(),
        }
        bodies[413] = {"too large": TooLarge(operation.body_limit).body()}
    if operation.method == "POST":
        bodies.setdefault(400, {})["idempotency key"] = BadKey().body()
        bodies[413] = {"too large": TooLarge(operation.body_limit).body()}
        bodies.setdefault(409, {})["still running"] = StillProcessed().body()
        bodies[422] = {"other body": OtherRequest().body()}
    for error in operation.errors:
        refusal = error if isinstance(error, Refusal) else error()
        bodies.setdefault(refusal.status, {})[refusal.text[:60]] = refusal.body()
    return {str(status): _error(examples) for status, examples in sorted(bodies.items())}


def _error(examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "description": next(iter(next(iter(examples.values())).values())),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {name: {"value": value} for name, value in examples.items()},
            }
        },
    }
