"""Every operation, for every kind of caller, is sent what its schema allows and what it forbids: no crash, no surprise.

schemathesis makes half of the cases from the description; the others are near to what succeeds. Some carry what breaks
servers. Each answer must be one that the description promises.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet

from conftest import unique
from permissions import COLUMNS
from test_openapi import DESCRIBED, DESCRIPTION
from things import World

CASES_EACH = [3, pytest.param(30, marks=pytest.mark.heavy)]
AT_LEAST = {3: 200, 30: 2_000}

# Callers of whom most requests get further than the door.
CALLERS = [*["admin"] * 10, *["runner"] * 5, *["customer"] * 5, *["support"] * 2, *COLUMNS]

HOSTILE = [
    "\x00",
    "a\x00b",
    "\ud800",
    "9999-12-31T23:59:59.999Z",
    "0000-00-00T00:00",
    "2034-02-30T10:00",
    "x" * 70_000,
    "'; DROP TABLE events; --",
    "%s{}$1",
    "../../etc/passwd",
    "\u202e\u200b",
    "data:image/png;base64,",
    "data:image/png;base64,iVBORw0KGgo=",
    10**400,
    -(10**30),
    2**63,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    [],
    {},
    [[[[[[]]]]]],
    {"a": {"b": {"c": {}}}},
    [None],
    ["\x00"],
]
RAW_BODIES = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000, b'{"name": 1e999}']


@dataclass
class Told:
    """What the answers were."""

    statuses: Counter[int] = field(default_factory=Counter)
    reached: set[str] = field(default_factory=set)


@pytest.mark.parametrize("cases", CASES_EACH)
async def test_no_request_breaks_the_server(http: httpx.AsyncClient, db: asyncpg.Connection, cases: int) -> None:
    background = World(http, db)
    told = Told()
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    loop = asyncio.get_running_loop()
    for operation in schema.get_all_operations():
        known = operation.ok()
        fuzzed = Fuzzed(World(http, db, background), known.definition.raw["operationId"], told)
        await fuzzed.prepare()

        def send(request: dict[str, Any], fuzzed: Fuzzed = fuzzed) -> None:
            asyncio.run_coroutine_threadsafe(fuzzed.send(http, request), loop).result(30)

        await asyncio.to_thread(examples, known, fuzzed, send, cases)
    assert sum(told.statuses.values()) >= AT_LEAST[cases]
    assert not [status for status in told.statuses if status >= 500]
    # It got through the doors, or it would prove little.
    assert len(told.reached) > len(DESCRIBED) * 0.6, sorted(set(DESCRIBED) - told.reached)


def examples(operation: Any, fuzzed: "Fuzzed", send: Callable[[dict[str, Any]], None], cases: int) -> None:
    """Make the cases of one operation and send them."""
    modes = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        send(fuzzed.request(data, data.draw(st.one_of(modes))))

    one()


class Fuzzed:
    """One operation in a world where what it is about exists."""

    def __init__(self, world: World, operation_id: str, told: Told) -> None:
        self.world = world
        self.operation_id = operation_id
        self.told = told
        self.method, self.path, self.operation = DESCRIBED[operation_id]
        self.real: dict[str, str] = {}
        self.keys: dict[str, str] = {}

    async def prepare(self) -> None:
        """Make the things of the path, what bodies refer to, and the callers' keys."""
        names = [one["name"] for one in self.operation["parameters"] if one["in"] == "path"]
        if "requestBody" in self.operation:
            names += ["host", "event", "section", "venue", "category", "number"]
        for name in names:
            self.real[name] = await self.world.the(name)
        for kind in COLUMNS:
            self.keys[kind] = (await self.world.caller(kind)).key

    def request(self, data: st.DataObject, case: Any) -> dict[str, Any]:
        """What is sent: a case of schemathesis, or one near to what succeeds."""
        is_near = data.draw(st.sampled_from(["near", "near", "far"])) == "near"
        path = self.path
        for name, value in (case.path_parameters or {}).items():
            chosen = self.real[name] if is_near or data.draw(st.booleans()) else str(value)
            path = path.replace(f"{{{name}}}", quote(chosen, safe="%"))
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() == "idempotency-key"}
        headers["X-Client-Version"] = data.draw(st.sampled_from(["3.0.0"] * 30 + [""]))
        headers["X-API-Key"] = self.keys[data.draw(st.sampled_from(CALLERS))]
        request: dict[str, Any] = {"method": self.method, "url": f"/v3{path}", "headers": headers}
        if case.query and not is_near:
            request["params"] = {name: self._text(value) for name, value in case.query.items()}
        if not isinstance(case.body, NotSet):
            request["content"] = self._body(data, self._near_body() if is_near else case.body)
        return request

    def _text(self, value: Any) -> str:
        return str(value).encode("utf-8", "replace").decode()

    def _near_body(self) -> dict[str, Any]:
        """The example of the description, with what is really there and names that nothing has."""
        body: dict[str, Any] = dict(self.operation["requestBody"]["content"]["application/json"]["example"])
        body |= {name: value for name, value in self._references().items() if name in body}
        body |= {name: unique("Fuzz") for name in ("name", "title", "username") if name in body}
        return body

    def _body(self, data: st.DataObject, body: Any) -> bytes:
        if data.draw(st.integers(0, 20)) == 20:
            return data.draw(st.sampled_from(RAW_BODIES))
        if isinstance(body, dict) and body and data.draw(st.integers(0, 2)) == 2:
            name = data.draw(st.sampled_from(sorted(body)))
            body = body | {name: data.draw(st.sampled_from(HOSTILE))}
        return body if isinstance(body, bytes) else json.dumps(body, default=str).encode()

    def _references(self) -> dict[str, Any]:
        """What members refer to when it is really there."""
        real = self.real
        section = f"/events/{real['event']}/sections/{real['section']}"
        return {
            "host": real["host"],
            "category": f"/categories/{real['category']}",
            "subcategory": "Jazz",
            "venue": f"/venues/{real['venue']}",
            "items": {section: 1},
            "tickets": {section: 1},
            "sections": [section],
            "customer": real["number"],
            "account": real["number"],
            "start": "",
            "end": "",
        }

    async def send(self, http: httpx.AsyncClient, request: dict[str, Any]) -> None:
        """Send a request and look at the answer."""
        answer = await http.request(**request)
        said = f"{request} -> {answer.status_code} {answer.text[:500]}"
        self.told.statuses[answer.status_code] += 1
        assert answer.status_code < 500, said
        assert answer.headers["x-request-id"], said
        if "does not exist on this server" in answer.text:
            return  # what stood in the path made it another one
        assert str(answer.status_code) in self.operation["responses"], said
        if answer.status_code < 300:
            self.told.reached.add(self.operation_id)
            self._check_schema(answer, said)
        else:
            assert set(answer.json()) <= {"error", "message", "details"}, said
            assert answer.json().get("details") or answer.status_code not in (400, 409), said

    def _check_schema(self, answer: httpx.Response, said: str) -> None:
        media = self.operation["responses"][str(answer.status_code)]["content"]
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in media, said
        if kind == "application/json":
            schema = {**media[kind]["schema"], "components": DESCRIPTION["components"]}
            assert jsonschema_rs.is_valid(schema, answer.json()), said
