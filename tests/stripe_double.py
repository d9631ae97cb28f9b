"""A double of Stripe's API over HTTP: as much of the published one as charging cards and refunding them takes.

Intents with their states, cards that are declined or want their owner at his bank, saved answers per idempotency key,
refunds, the errors' shapes, signed events. What goes wrong on the way is ordered with `double.faults`.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

import h11

import log_watch

KEY = "sk_test_double_4eC39HqLyjWDarjtT1zdp7dc"
WEBHOOK_SECRET = "whsec_double_5f2b1c9d8e7a"
VERSION = "2026-10-28.endive"
log_watch.keep_secret(KEY.rpartition("_")[2], WEBHOOK_SECRET.rpartition("_")[2])

# What happens to a request: the answer is lost after the work, or the request before it; the double waits; or faults.
Fault = Literal["lose answer", "lose request", "hang", "hang after", "500", "500 after", "503", "429", "409"]

DECLINES = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
}
AUTHENTICATED = {"pm_card_threeDSecure2Required", "pm_card_authenticationRequired"}
SLOW = {"pm_card_slow"}  # ours: the intent stays `processing` until the test says how it ends
GOOD = {"pm_card_visa", "pm_card_mastercard", "pm_card_refundFail", "pm_card_pendingRefund", "ctoken_good"}
OPEN = {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"}

CREATE = {
    "amount",
    "currency",
    "allowed_payment_method_types[0]",
    "capture_method",
    "description",
    "metadata[attempt]",
    "metadata[order]",
}
CONFIRM = {"payment_method", "confirmation_token", "return_url", "use_stripe_sdk"}
REFUND = {"payment_intent", "amount", "reason", "metadata[refund]"}


class Problem(Exception):
    """An error as Stripe sends it."""

    def __init__(self, status: int, kind: str, **members: Any) -> None:
        super().__init__(kind)
        self.status = status
        self.body = {"error": {"type": kind, "message": f"The double says {kind}.", **members}}


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    params: dict[str, str]
    key: str
    headers: dict[str, str] = field(repr=False)


@dataclass
class Saved:
    """What a key was used for, and the answer."""

    request: tuple[str, str, tuple[tuple[str, str], ...]]
    answer: tuple[int, dict[str, Any]]


@dataclass
class Double:
    """Stripe's side of the counter: its books, and what the test lets happen there."""

    url: str = ""
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    faults: list[tuple[str, Fault]] = field(default_factory=list)  # (end of the path, what), each once, in order
    chaos: Callable[[], Fault | Literal[""]] | None = None  # what goes wrong with each request beside that
    page_length: int = 100
    _saved: dict[str, Saved] = field(default_factory=dict)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    # What a test looks at and sets off

    def intent_of(self, order: str) -> dict[str, Any]:
        """The newest intent of an order."""
        return [intent for intent in self.intents.values() if intent["metadata"].get("order") == order][-1]

    def charged(self, order: str | None = None) -> int:
        """What customers paid, in Stripe's units, less nothing."""
        return sum(
            intent["amount_received"]
            for intent in self.intents.values()
            if order is None or intent["metadata"].get("order") == order
        )

    def given_back(self, order: str | None = None) -> int:
        """What went back to customers, or is on its way."""
        return sum(
            one["amount"]
            for one in self.refunds.values()
            if one["status"] in ("succeeded", "pending")
            and (order is None or self.intents[one["payment_intent"]]["metadata"].get("order") == order)
        )

    def reset(self) -> None:
        """Begin anew, with empty books."""
        self.release()
        for book in (self.intents, self.refunds, self.events, self.requests, self.faults, self._saved):
            book.clear()
        self.page_length, self.chaos = 100, None

    def release(self) -> None:
        """Let what hangs go on."""
        self._released.set()
        self._released = asyncio.Event()

    def forget_keys(self) -> None:
        """A day has passed."""
        self._saved.clear()

    def authenticate(self, intent_id: str, *, succeeds: bool = True) -> None:
        """The customer comes back from his bank."""
        intent = self.intents[intent_id]
        assert intent["status"] == "requires_action", intent["status"]
        intent["next_action"] = None
        if succeeds:
            self._succeed(intent)
        else:
            self._decline(intent, "payment_intent_authentication_failure", None)

    def settle(self, intent_id: str, *, succeeds: bool = True) -> None:
        """What was processing ends."""
        intent = self.intents[intent_id]
        assert intent["status"] == "processing", intent["status"]
        if succeeds:
            self._succeed(intent)
        else:
            self._decline(intent, "card_declined", "generic_decline")

    def try_another_card(self, client_secret: str, method: str = "pm_card_visa") -> None:
        """What a browser can do that has a client secret. Raises Problem."""
        intent = next(one for one in self.intents.values() if one["client_secret"] == client_secret)
        self._confirm(intent["id"], {"payment_method": method})

    def end_refund(self, refund_id: str, status: str) -> None:
        """A refund that was pending (or thought to have succeeded) ends."""
        refund = self.refunds[refund_id]
        refund["status"] = status
        if status == "failed":
            refund["failure_reason"] = "expired_or_canceled_card"
        self._tell("refund.failed" if status == "failed" else "refund.updated", refund)

    def refund_at_dashboard(self, intent_id: str) -> dict[str, Any]:
        """Somebody gives back all that is left, by hand."""
        return self._refund({"payment_intent": intent_id})

    def sign(self, event: dict[str, Any] | bytes, secret: str = WEBHOOK_SECRET, age: int = 0) -> tuple[bytes, str]:
        """An event's body and its `Stripe-Signature`."""
        body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
        at = int(time.time()) - age
        mac = hmac.new(secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
        return body, f"t={at},v1={mac},v0={'0' * 64}"

    # The books

    def answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Do what is asked."""
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Problem(401, "invalid_request_error", message=f"Invalid API Key provided: {KEY[:8]}****")
        if request.headers.get("stripe-version") != VERSION:
            raise Problem(400, "invalid_request_error", message="Invalid Stripe API version")
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["payment_intents"]:
                return 200, self._create(request.params)
            case "GET", ["payment_intents", intent_id]:
                return 200, self._find(intent_id)
            case "POST", ["payment_intents", intent_id, "confirm"]:
                return 200, self._confirm(intent_id, request.params)
            case "POST", ["payment_intents", intent_id, "cancel"]:
                return 200, self._cancel(intent_id)
            case "POST", ["refunds"]:
                _known(request.params, REFUND)
                return 200, self._refund(request.params)
            case "GET", ["refunds"]:
                return 200, self._list_refunds(request.params)
            case "GET", ["refunds", refund_id]:
                return 200, self.refunds[refund_id]
        raise Problem(404, "invalid_request_error", message=f"Unrecognized request URL ({request.path}).")

    def _create(self, params: dict[str, str]) -> dict[str, Any]:
        _known(params, CREATE)
        amount = int(params["amount"])
        if amount < 50 and params["currency"] == "usd":
            raise Problem(400, "invalid_request_error", code="amount_too_small", param="amount")
        intent_id, secret = f"pi_{secrets.token_hex(12)}", secrets.token_hex(12)
        log_watch.keep_secret(secret)
        intent = self.intents[intent_id] = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": params["currency"],
            "client_secret": f"{intent_id}_secret_{secret}",
            "description": params.get("description"),
            "last_payment_error": None,
            "livemode": False,
            "metadata": _inside(params, "metadata"),
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        }
        self._tell("payment_intent.created", intent)
        return intent

    def _find(self, intent_id: str) -> dict[str, Any]:
        if intent_id not in self.intents:
            raise Problem(404, "invalid_request_error", code="resource_missing", param="intent")
        return self.intents[intent_id]

    def _confirm(self, intent_id: str, params: dict[str, str]) -> dict[str, Any]:
        _known(params, CONFIRM)
        intent = self._find(intent_id)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise self._unexpected(intent)
        method = params.get("payment_method") or params["confirmation_token"]
        if method not in {*DECLINES, *AUTHENTICATED, *SLOW, *GOOD}:
            raise Problem(400, "invalid_request_error", code="resource_missing", param="payment_method")
        intent["payment_method"], intent["last_payment_error"] = method, None
        if method in DECLINES:
            code, decline_code = DECLINES[method]
            self._decline(intent, code, decline_code)
            raise Problem(402, "card_error", **intent["last_payment_error"], payment_intent=dict(intent))
        if method in AUTHENTICATED:
            intent["status"] = "requires_action"
            url = f"https://hooks.stripe.test/3d_secure_2/{intent_id}"
            intent["next_action"] = (
                {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": params["return_url"]}}
                if "return_url" in params
                else {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
            )
            self._tell("payment_intent.requires_action", intent)
        elif method in SLOW:
            intent["status"] = "processing"
            self._tell("payment_intent.processing", intent)
        else:
            self._succeed(intent)
        return intent

    def _cancel(self, intent_id: str) -> dict[str, Any]:
        intent = self._find(intent_id)
        if intent["status"] not in OPEN:
            raise self._unexpected(intent)
        intent["status"], intent["next_action"] = "canceled", None
        self._tell("payment_intent.canceled", intent)
        return intent

    def _succeed(self, intent: dict[str, Any]) -> None:
        intent["status"], intent["amount_received"] = "succeeded", intent["amount"]
        intent["latest_charge"] = f"ch_{secrets.token_hex(12)}"
        self._tell("payment_intent.succeeded", intent)

    def _decline(self, intent: dict[str, Any], code: str, decline_code: str | None) -> None:
        intent["status"], intent["payment_method"] = "requires_payment_method", None
        intent["last_payment_error"] = {"code": code} | ({"decline_code": decline_code} if decline_code else {})
        self._tell("payment_intent.payment_failed", intent)

    def _unexpected(self, intent: dict[str, Any]) -> Problem:
        code = "payment_intent_unexpected_state"
        return Problem(400, "invalid_request_error", code=code, payment_intent=dict(intent))

    def _refund(self, params: dict[str, str]) -> dict[str, Any]:
        intent = self._find(params["payment_intent"])
        live = [one for one in self._refunds_of(intent["id"]) if one["status"] in ("succeeded", "pending")]
        left = intent["amount_received"] - sum(one["amount"] for one in live)
        if intent["amount_received"] and left == 0:
            raise Problem(400, "invalid_request_error", code="charge_already_refunded")
        amount = int(params.get("amount", left))
        if amount > left or amount == 0:
            raise Problem(400, "invalid_request_error", param="amount")
        refund_id = f"re_{secrets.token_hex(12)}"
        refund = self.refunds[refund_id] = {
            "id": refund_id,
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "metadata": _inside(params, "metadata"),
            "payment_intent": intent["id"],
            "reason": params.get("reason"),
            "status": "pending" if intent["payment_method"] == "pm_card_pendingRefund" else "succeeded",
        }
        self._tell("refund.created", refund)
        charge = {"id": intent["latest_charge"], "object": "charge", "payment_intent": intent["id"], "metadata": {}}
        self._tell("charge.refunded", charge)
        return refund

    def _list_refunds(self, params: dict[str, str]) -> dict[str, Any]:
        found = self._refunds_of(params["payment_intent"])[::-1]  # newest first
        if after := params.get("starting_after"):
            found = found[[one["id"] for one in found].index(after) + 1 :]
        length = min(int(params.get("limit", 10)), self.page_length)
        return {
            "object": "list",
            "url": "/v1/refunds",
            "has_more": len(found) > length,
            "data": found[:length],
        }

    def _refunds_of(self, intent_id: str) -> list[dict[str, Any]]:
        return [one for one in self.refunds.values() if one["payment_intent"] == intent_id]

    def _tell(self, kind: str, thing: dict[str, Any]) -> None:
        self.events.append(
            {
                "id": f"evt_{secrets.token_hex(12)}",
                "object": "event",
                "api_version": VERSION,
                "created": int(time.time()),
                "data": {"object": json.loads(json.dumps(thing))},
                "livemode": False,
                "type": kind,
            }
        )

    # The way in

    async def serve(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]] | None:
        """The answer to a request (status, body, headers), or None when it is lost."""
        self.requests.append(request)
        fault = self._fault(request.path)
        if fault == "hang":
            await self._released.wait()
        if fault == "lose request":
            return None
        if fault in ("429", "409", "503"):  # these never reach the books, and are not saved
            kind = "idempotency_error" if fault == "409" else "api_error"
            return int(fault), Problem(int(fault), kind).body, {}
        answer = self._answer_once(request, fault)
        if fault == "hang after":
            await self._released.wait()
        return None if fault == "lose answer" else answer

    def _answer_once(self, request: Request, fault: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Do what is asked, or what was answered to this key before."""
        asked = (request.method, request.path, tuple(sorted(request.params.items())))
        saved = self._saved.get(request.key) if request.key else None
        if saved:
            if saved.request != asked:
                return 400, Problem(400, "idempotency_error").body, {}
            return *saved.answer, {"Idempotent-Replayed": "true"}
        try:
            if fault == "500":
                raise Problem(500, "api_error")
            answer = self.answer(request)
            if fault == "500 after":
                raise Problem(500, "api_error")
        except Problem as problem:
            answer = problem.status, problem.body
        answer = json.loads(json.dumps(answer))
        if request.key and answer[0] not in (400, 401, 404):
            self._saved[request.key] = Saved(asked, (answer[0], answer[1]))
        return answer[0], answer[1], {}

    def _fault(self, path: str) -> str:
        if self.faults and path.endswith(self.faults[0][0]):
            return self.faults.pop(0)[1]
        return self.chaos() if self.chaos else ""


def _known(params: dict[str, str], names: set[str]) -> None:
    for name in params:
        if name not in names:
            raise Problem(400, "invalid_request_error", code="parameter_unknown", param=name)


def _inside(params: dict[str, str], name: str) -> dict[str, str]:
    return {key[len(name) + 1 : -1]: value for key, value in params.items() if key.startswith(f"{name}[")}


@contextlib.asynccontextmanager
async def open_double() -> AsyncIterator[Double]:
    """A double that listens on a port of its own."""
    double = Double()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await _talk(reader, writer, double.serve)
        writer.close()
        talks.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    double.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield double
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Callable[[Request], Any]) -> None:
    """HTTP/1.1 on one connection, until it ends or an answer is lost."""
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head, body = event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            answer = await serve(_request(head, body))
            if answer is None:
                return
            status, thing, headers = answer
            content = json.dumps(thing).encode()
            lines = {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                "Request-Id": "req_double",
            }
            for part in (
                h11.Response(status_code=status, headers=[*lines.items(), *headers.items()]),
                h11.Data(data=content),
                h11.EndOfMessage(),
            ):
                writer.write(connection.send(part) or b"")
            await writer.drain()
            connection.start_next_cycle()
        else:
            return


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode().partition("?")
    headers = {name.decode().lower(): value.decode() for name, value in head.headers}
    method = head.method.decode()
    params = dict(parse_qsl(query if method == "GET" else body.decode(), keep_blank_values=True))
    return Request(method, path, params, headers.get("idempotency-key", "") if method == "POST" else "", headers)
