"""One request of a browser: who sends it, in which language, what it brings, and how it is answered."""

import base64
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ticketing.languages import Language, language_of, negotiate

from .client import Answer, Client, Refused
from .site import Site

KEY_SHAPE = re.compile(r"[0-9a-f]{32}", re.ASCII)
SESSION_SECONDS = 30 * 24 * 3600
LARGEST_COOKIE = 3500
MOST_FIELDS = 500
LARGEST_FORM = 256 * 1024
LARGEST_UPLOAD = 22 * 1024 * 1024  # two pictures of 10 MiB and what is told about them


class SignInNeeded(Exception):
    """The page is for somebody who is signed in."""


class Foreign(Exception):
    """A form that was not sent by one of our own pages."""


class Visit:
    """A request to a page.

    Cookies: `session` holds the API key of who signed in, `cart` what is about to be ordered, `language` what was
    chosen, `notice` what the next page says once. None of them is readable to scripts.
    """

    def __init__(self, request: Request, site: Site, api: Any) -> None:
        self.request = request
        self.site = site
        self.language: Language = language_of(self._language_code())
        key = request.cookies.get(self._name("session"), "")
        self.session_key = key if KEY_SHAPE.fullmatch(key) and self.may_sign_in else ""
        self.api = Client(api, request.scope, request.receive, self.session_key or site.visitors_key)
        self._session: dict[str, Any] | None = None
        self._form: FormData | None = None
        self._set: list[tuple[str, str, int]] = []  # cookies: name, value, seconds
        self._notice = ""
        self.is_private = bool(self.session_key)

    # --- who it is

    @property
    def is_signed_in(self) -> bool:
        """Whether a session's key came along; it may have ended."""
        return bool(self.session_key)

    async def account(self) -> dict[str, Any]:
        """The account that is signed in, as the API shows it. Raises SignInNeeded."""
        if not self.session_key:
            raise SignInNeeded
        if self._session is None:
            try:
                self._session = await self.api.get("/sessions/active")
            except Refused as refused:
                if refused.answer.status in (401, 403):
                    self.forget_session()
                    raise SignInNeeded from None
                raise
        account: dict[str, Any] = self._session["account"]
        return account

    async def find_account(self) -> dict[str, Any] | None:
        """The account that is signed in, or None; one whose session has ended is signed out."""
        try:
            return await self.account()
        except SignInNeeded:
            return None

    async def role(self) -> str:
        """The role of who is signed in. Raises SignInNeeded."""
        return str((await self.account())["role"])

    # --- where it goes

    @property
    def now(self) -> datetime:
        """The moment, for what a page says of it; whatever is decided by time, the API decides."""
        return datetime.now(UTC)

    @property
    def origin(self) -> str:
        """Scheme and host under which the visitor sees us."""
        if self.site.public_url:
            return self.site.public_url
        return f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    @property
    def may_sign_in(self) -> bool:
        """Whether a session may travel here: by https, or on this machine alone."""
        if self.site.is_secure:
            return True
        host = urlsplit(self.origin).hostname or ""
        return self.request.url.scheme == "https" or host in ("localhost", "127.0.0.1", "::1")

    @property
    def path(self) -> str:
        """The path and query that were asked for."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def part(self, name: str) -> str:
        """A variable part of the path, fit to stand in one of the API's."""
        return quote(str(self.request.path_params[name]), safe="=+@:")

    def query(self, name: str, default: str = "") -> str:
        """A member of the query."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int = 1, most: int = 100_000) -> int:
        """A whole number from the query, 1 or more; the default for whatever else stands there."""
        text = self.query(name)
        return (
            min(int(text), most) if text.isascii() and text.isdigit() and 0 < len(text) < 9 and int(text) else default
        )

    # --- what it brings

    def ensure_own(self) -> None:
        """Refuse a form that another site sent. Raises Foreign."""
        site = self.request.headers.get("sec-fetch-site", "")
        origin = self.request.headers.get("origin", "")
        if site and site not in ("same-origin", "none"):
            raise Foreign
        if origin:
            if not hmac.compare_digest(origin.encode(), self.origin.encode()):
                raise Foreign
        elif not site:
            raise Foreign  # neither: no browser of today sends a form so

    async def form(self, *, with_files: bool = False) -> "Form":
        """The form that was sent. Raises HTTPException for one that is too large, or does not say how large it is."""
        if self._form is None:
            length = self.request.headers.get("content-length", "")
            most = LARGEST_UPLOAD if with_files else LARGEST_FORM
            if not length.isdigit() or len(length) > 12 or int(length) > most:
                raise HTTPException(413)
            self._form = await self.request.form(max_files=4, max_fields=MOST_FIELDS, max_part_size=1024 * 1024)
        return Form(self._form)

    # --- cookies

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self._is_secure else name

    @property
    def _is_secure(self) -> bool:
        return self.site.is_secure or self.request.url.scheme == "https"

    def keep(self, name: str, value: str, seconds: int) -> None:
        """Set a cookie with the answer."""
        self._set = [one for one in self._set if one[0] != name]
        self._set.append((name, value, seconds))

    def start_session(self, session: Mapping[str, Any]) -> None:
        """Let the browser bear the session's key from now on."""
        self.session_key = self.api.key = str(session["key"])
        self._session = dict(session)
        self.is_private = True
        self.keep("session", self.session_key, SESSION_SECONDS)

    def forget_session(self) -> None:
        """Let the browser forget the key."""
        self.session_key, self.api.key, self._session = "", self.site.visitors_key, None
        self.keep("session", "", 0)

    def cart(self) -> dict[str, int]:
        """What is about to be ordered: full section URIs and quantities."""
        return _cart_of(self.request.cookies.get(self._name("cart"), ""))

    def keep_cart(self, cart: Mapping[str, int]) -> bool:
        """Remember it; False when it has more in it than a cookie holds."""
        if not cart:
            self.keep("cart", "", 0)
            return True
        text = _packed({uri.removeprefix("/events/"): quantity for uri, quantity in cart.items()})
        if len(text) > LARGEST_COOKIE:
            return False
        self.keep("cart", text, 7 * 24 * 3600)
        return True

    def tell(self, notice: str) -> None:
        """Let the next page that is shown say so once; `notice` is a name in `notices`."""
        self.keep("notice", notice, 60)

    def take_notice(self) -> str:
        """What this page has to say once."""
        notice = self.request.cookies.get(self._name("notice"), "")
        if notice:
            self.keep("notice", "", 0)
        return notice if re.fullmatch(r"[a-z_]{1,40}", notice) else ""

    def take_cookies(self, response: Response) -> Response:
        """Put the cookies on the answer."""
        for name, value, seconds in self._set:
            response.set_cookie(
                self._name(name),
                value,
                max_age=seconds,
                path="/",
                secure=self._is_secure,
                httponly=True,
                samesite="lax",
            )
        return response

    # --- answers

    def go(self, path: str, **query: object) -> Response:
        """Send the browser to another of our pages, by GET."""
        asked = {name: str(value) for name, value in query.items() if value not in (None, "")}
        target = path + (f"?{urlencode(asked)}" if asked else "")
        return RedirectResponse(target, 303)

    def go_to_sign_in(self) -> Response:
        """Send the browser to sign in, and back afterwards."""
        back = self.path if self.request.method == "GET" else local_path(self.request.headers.get("referer", ""))
        return self.go("/sign-in", next=back)

    def _language_code(self) -> str:
        offered = self.site.languages
        chosen = self.request.query_params.get("lang") or self.request.cookies.get(self._name("language"), "")
        if chosen in offered:
            return chosen
        return negotiate(self.request.headers.get("accept-language", ""), offered)


class Form:
    """What a form brought, as text."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str) -> str:
        """A field, without the blanks around it; "" when it is not there."""
        value = self._data.get(name, "")
        return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""

    def raw(self, name: str) -> str:
        """A field as it was typed: a password."""
        value = self._data.get(name, "")
        return value if isinstance(value, str) else ""

    def has(self, name: str) -> bool:
        """Whether a box is ticked, or a button was pressed."""
        return name in self._data

    def all(self, name: str) -> list[str]:
        """All values of a repeated field."""
        return [value for value in self._data.getlist(name) if isinstance(value, str)]

    def quantities(self, prefix: str = "quantity:") -> dict[str, int]:
        """How many of what: fields `quantity:URI` with whole numbers above zero."""
        found = {}
        for name, value in self._data.multi_items():
            if name.startswith(prefix) and isinstance(value, str) and value.strip().isdecimal() and len(value) < 6:
                found[name.removeprefix(prefix)] = int(value)
        return {name: count for name, count in found.items() if count}

    async def data_url(self, name: str) -> str | None:
        """An uploaded file as a data URL; None when none was chosen."""
        value = self._data.get(name)
        if not isinstance(value, UploadFile) or not value.filename:
            return None
        content = await value.read()
        kind = value.content_type or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Several fields by name."""
        return {name: self.text(name) for name in names}

    @property
    def once(self) -> str:
        """The Idempotency-Key of this rendering of the form."""
        return self.text("once")[:255]


def once() -> str:
    """An Idempotency-Key for one rendering of a form."""
    return secrets.token_urlsafe(18)


def local_path(target: str, otherwise: str = "/") -> str:
    """The path of ours that a text leads to, never another site's."""
    parts = urlsplit(target.replace("\\", "/"))
    path = parts.path
    if not path.startswith("/") or path.startswith("//") or not path.isprintable():
        return otherwise
    return path + (f"?{parts.query}" if parts.query else "")


def refusal(answer: Answer, language: Language) -> str:
    """What a refusal means to a person: its details where they are about nothing in the form, else its text."""
    return language.say(answer.text)


def _packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _cart_of(text: str) -> dict[str, int]:
    """What a cookie holds; nothing when it holds nonsense."""
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else {}
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    found = {}
    for uri, quantity in list(value.items())[:50]:
        fits = re.fullmatch(r"\d{1,16}/sections/\d{1,16}", str(uri), re.ASCII)
        if fits and isinstance(quantity, int) and 0 < quantity < 100_000:
            found[f"/events/{uri}"] = quantity
    return found


Handler = Callable[[Visit], Awaitable[Response]]
