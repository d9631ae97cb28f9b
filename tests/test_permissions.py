"""The permission table, walked against the OpenAPI description with real calls."""

import json
import re
from collections import Counter
from string import Template
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import Answer, Client
from permissions import COLUMNS, Line, read_table
from things import World
from ticketing.sessions.permissions import MAY_CALL
from ticketing.web.errors import RESTRICTED, UNAUTHENTICATED

LINES = read_table()
TWICE = {line.operation for line in LINES if Counter(one.operation for one in LINES)[line.operation] > 1}

Operations = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
async def described(http: httpx.AsyncClient) -> Operations:
    """Method and path of every operation, by its id, from the description."""
    paths = (await http.get("/v3/openapi.json")).json()["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
async def background(http: httpx.AsyncClient, db: asyncpg.Connection) -> World:
    return World(http, db)


async def test_every_operation_has_its_lines(described: Operations) -> None:
    named = {line.operation for line in LINES}
    assert set(described) - named == set(), "operations without a line in tests/permissions.py"
    assert named - set(described) == set(), "lines of tests/permissions.py that are no operation"
    assert set(MAY_CALL) == set(described), "sessions/permissions.py names other operations"


@pytest.mark.parametrize(
    "line",
    LINES,
    ids=[one.operation + (f"-{index}" if one.operation in TWICE else "") for index, one in enumerate(LINES)],
)
async def test_each_caller_gets_what_the_table_says(
    line: Line, described: Operations, background: World, http: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    assert line.operation in described, "no such operation"
    method, path = described[line.operation]
    shared = World(http, db, background, line.things)
    answers = {}
    for kind in COLUMNS:
        # What is allowed and changes something gets a world of its own; who is refused changes nothing.
        is_safe = method == "GET" or line.answers[kind].startswith("4")
        world = shared if is_safe else World(http, db, background, line.things)
        answers[kind] = await _call(world, await world.caller(kind), method, path, line)
    assert {kind: _shown(answer) for kind, answer in answers.items()} == line.answers


async def _call(world: World, caller: Client, method: str, path: str, line: Line) -> Answer:
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", await world.the(name))
    names = Template(line.body + line.query).get_identifiers()
    things = {name: await world.the(name) for name in names}
    body = json.loads(Template(line.body).substitute(things))
    details: dict[str, Any] = {"params": Template(line.query).substitute(things)} if line.query else {}
    if method != "GET":
        details["json"] = body
    return await caller.send(method, path, **details)


def _shown(answer: Answer) -> str:
    """The answer as the table writes it."""
    if answer.status == 401:
        assert answer.body == {"message": UNAUTHENTICATED}
    if answer.status == 403 and answer.body != {"message": RESTRICTED}:
        assert answer.error != RESTRICTED
        return "403*"
    return str(answer.status)
