"""`/dev/mail`: the mail that was written into the folder, for whoever develops on this machine.

It shows codes that let into accounts. So it is there only when `TICKETING_DEV_PAGES` is on and mail goes into a folder,
and it answers only whose connection comes from this machine, who calls it localhost, and through no proxy.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ticketing.settings import Settings
from ticketing.web.addresses import is_loopback

SHOWN = 200

_NAME = re.compile(r"[0-9a-f-]{1,80}", re.ASCII)
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# The mail itself runs nothing, loads nothing, and is of no origin, also when it is opened by itself.
_MAIL_HEADERS = _PAGE_HEADERS | {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'"
}

Answer = Callable[[Request], Awaitable[Response]]


def routes(settings: Settings) -> list[BaseRoute]:
    """The pages, where they are wanted."""
    if settings.dev_pages != "on" or settings.mail_transport != "folder":
        return []
    viewer = _Viewer(Path(settings.mail_folder))
    return [
        Route("/dev/mail", _here_only(viewer.show_all)),
        Route("/dev/mail/{name}", _here_only(viewer.show)),
        Route("/dev/mail/{name}/html", _here_only(viewer.show_html)),
        Route("/dev/mail/{name}/source", _here_only(viewer.show_source)),
        Route("/dev/mail/{name}/attachments/{number:int}", _here_only(viewer.hand_out)),
    ]


def _here_only(answer: Answer) -> Answer:
    """404 for whoever is not at this machine, as if there was nothing."""

    async def guarded(request: Request) -> Response:
        return await answer(request) if _is_here(request) else Response(status_code=404)

    return guarded


def _is_here(request: Request) -> bool:
    """Whether a browser on this machine asks.

    The peer alone tells that: anybody may write any `Host`. That is looked at too, since a page from elsewhere can have
    a browser here ask under a name of its own. What names a client in a header came through a proxy; so the peer is
    the socket's, whichever proxies are trusted.
    """
    if any(name in request.headers for name in _FORWARDED):
        return False
    peer = request.client.host if request.client else ""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return False
    return is_loopback(peer) and host in _THIS_MACHINE


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A mail of the folder, parsed."""

    name: str
    source: bytes
    message: EmailMessage

    @property
    def attachments(self) -> list[EmailMessage]:
        return [part for part in self.message.iter_attachments() if isinstance(part, EmailMessage)]

    def body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part is not None else ""


class _Viewer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages = Environment(
            loader=PackageLoader("ticketing.mail", "viewer_templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def show_all(self, _request: Request) -> Response:
        """The newest mails, the newest first."""
        sheets = await asyncio.to_thread(self._newest)
        return self._page("list.html", {"sheets": sheets, "most": SHOWN})

    async def show(self, request: Request) -> Response:
        """One mail: its headers, HTML, text and attachments."""
        sheet = await self._find(request)
        return Response(status_code=404) if sheet is None else self._page("mail.html", {"sheet": sheet})

    async def show_html(self, request: Request) -> Response:
        """The HTML of one mail, by itself."""
        sheet = await self._find(request)
        if sheet is None:
            return Response(status_code=404)
        return Response(sheet.body("html"), headers=_MAIL_HEADERS, media_type="text/html; charset=utf-8")

    async def show_source(self, request: Request) -> Response:
        """One mail as it travels."""
        sheet = await self._find(request)
        if sheet is None:
            return Response(status_code=404)
        return Response(sheet.source, headers=_MAIL_HEADERS, media_type="text/plain; charset=utf-8")

    async def hand_out(self, request: Request) -> Response:
        """An attachment, as a file to keep."""
        sheet, number = await self._find(request), request.path_params["number"]
        if sheet is None or number >= len(sheet.attachments):
            return Response(status_code=404)
        part = sheet.attachments[number]
        name = re.sub(r"[^A-Za-z0-9._-]", "_", part.get_filename() or "attachment")
        headers = _MAIL_HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        body: bytes = part.get_payload(decode=True)
        return Response(body, headers=headers, media_type=part.get_content_type())

    def _page(self, template: str, facts: Mapping[str, Any]) -> Response:
        html = self._pages.get_template(template).render(facts)
        return Response(html, headers=_PAGE_HEADERS, media_type="text/html; charset=utf-8")

    def _newest(self) -> list[_Sheet]:
        names = sorted((path.stem for path in self._folder.glob("*.eml")), reverse=True)[:SHOWN]
        return [sheet for name in names if (sheet := self._read(name)) is not None]

    async def _find(self, request: Request) -> _Sheet | None:
        return await asyncio.to_thread(self._read, request.path_params["name"])

    def _read(self, name: str) -> _Sheet | None:
        if not _NAME.fullmatch(name):
            return None
        try:
            source = (self._folder / f"{name}.eml").read_bytes()
        except OSError:
            return None
        message = message_from_bytes(source, policy=default)
        return _Sheet(name, source, message) if isinstance(message, EmailMessage) else None
