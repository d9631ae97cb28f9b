"""The API as one visitor calls it: the same operations, limits and answers as over the network, without a socket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

CLIENT_VERSION = b"3.1.2"
PREFIX = "/v3"
_PASSED_ON = (b"host", b"user-agent", b"accept-language", b"x-request-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 400

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """What a refusal says, in the words of the contract."""
        value = self._refusal()
        return str(value.get("error") or value.get("message") or "")

    @property
    def details(self) -> dict[str, str]:
        """What a refusal says of each member."""
        found = self._refusal().get("details")
        return found if isinstance(found, dict) else {}

    def _refusal(self) -> dict[str, Any]:
        try:
            value = self.json()
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Refused(Exception):
    """The API refused; `answer` says how."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.text}")
        self.answer = answer


class Client:
    """Calls the API's application for whoever sent a request to a page: from his address, with his key."""

    def __init__(self, app: Any, scope: Mapping[str, Any], receive: Any, key: str) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self.key = key

    async def get(self, path: str, **query: object) -> Any:
        """What a GET answers, decoded. Members of the query that are None or "" are left out. Raises Refused."""
        return (await self.call("GET", path, query=query)).json()

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, once: str = "") -> Any:
        """What a POST answers, decoded; `once`: its Idempotency-Key. Raises Refused."""
        return (await self.call("POST", path, body=body, once=once)).json()

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a PUT answers, decoded. Raises Refused."""
        return (await self.call("PUT", path, body=body)).json()

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a PATCH answers, decoded. Raises Refused."""
        return (await self.call("PATCH", path, body=body)).json()

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What a DELETE answers, decoded. Raises Refused."""
        return (await self.call("DELETE", path, body=body)).json()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        once: str = "",
        accept: str = "",
    ) -> Answer:
        """The answer to one call. Raises Refused for a 4xx or 5xx."""
        answer = await self.ask(method, path, query=query, body=body, once=once, accept=accept)
        if not answer.is_ok:
            raise Refused(answer)
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        once: str = "",
        accept: str = "",
        prefix: str = PREFIX,
    ) -> Answer:
        """The answer to one call, whatever it is; `prefix`: "" for what is served beside the API."""
        given = {name: _written(value) for name, value in (query or {}).items() if value is not None and value != ""}
        sent = b"" if body is None else json.dumps(body).encode()
        headers = [
            (b"x-api-key", self.key.encode()),
            (b"x-client-version", CLIENT_VERSION),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(sent)).encode()),
            *((name, value) for name, value in self._scope["headers"] if name in _PASSED_ON),
        ]
        if once:
            headers.append((b"idempotency-key", once.encode("ascii", "replace")))
        if accept:
            headers.append((b"accept", accept.encode("ascii", "replace")))
        whole = prefix + path
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self._scope.get("scheme", "http"),
            "path": whole,
            "raw_path": whole.encode(),
            "query_string": urlencode(given).encode(),
            "root_path": "",
            "headers": headers,
            "client": self._scope.get("client"),
            "server": self._scope.get("server"),
        }
        reply = _Reply(sent, self._receive)
        await self._app(scope, reply.receive, reply.send)
        return reply.answer()


class _Reply:
    """The two ends of an ASGI call: gives the body once, then whatever becomes of the visitor; collects the answer."""

    def __init__(self, body: bytes, visitor_receive: Any) -> None:
        self._body: bytes | None = body
        self._visitor_receive = visitor_receive
        self._status = 0
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []

    async def receive(self) -> Any:
        if self._body is None:
            return await self._visitor_receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))

    def answer(self) -> Answer:
        return Answer(self._status, self._headers, b"".join(self._chunks))


def _written(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
