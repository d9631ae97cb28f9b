"""How a page is declared, rendered and answered; and what is shown when something is in the way."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from ticketing.languages import Language, amount, language_of, moment_of

from . import words
from .assets import Assets
from .client import Answer, Refused
from .site import Site
from .visits import Foreign, SignInNeeded, Visit, once

log = structlog.get_logger()

Handler = Callable[[Visit], Awaitable[Response]]

# What a page of ours may load and do. Pages that need more - the scanner, a card element - add to single directives.
POLICY: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "media-src": "'self' blob:",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


class Pages:
    """The pages of one package module, collected by its decorators: `@pages("GET /cart")`."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, Handler]] = []

    def __call__(self, *calls: str) -> Callable[[Handler], Handler]:
        """Declare the handler for one or more methods and paths."""

        def declare(handler: Handler) -> Handler:
            for call in calls:
                method, path = call.split(" ")
                self.all.append((method, path, handler))
            return handler

        return declare


class Fields(dict[str, Any]):
    """What a form says of its fields: nothing, of those that are not named."""

    def __missing__(self, name: str) -> str:
        return ""


class Frame:
    """Everything that pages need to be shown: templates in each language, files, the site, and the API below."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.api: Any = None  # the API's application, set once it is built
        self.assets = Assets(before={"style.css": site.theme()})
        self._environments: dict[str, Environment] = {}

    def routes(self, *groups: Pages) -> list[BaseRoute]:
        """The routes of these pages and of the files they use."""
        by_path: dict[str, dict[str, Handler]] = {}
        for group in groups:
            for method, path, handler in group.all:
                by_path.setdefault(path, {})[method] = handler
        found: list[BaseRoute] = [Route("/static/{name:path}", self.assets.serve)]
        for path, handlers in by_path.items():
            found.append(Route(path, self._endpoint(handlers), methods=sorted(handlers)))
        return found

    def _endpoint(self, handlers: Mapping[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            return await self.answer(request, handlers[method])

        return answer

    async def answer(self, request: Request, handler: Handler) -> Response:
        """What a page answers, or what stands in its way."""
        request.state.frame = self
        visit = Visit(request, self.site, self.api)
        try:
            if request.method not in ("GET", "HEAD"):
                visit.ensure_own()
            response = await handler(visit)
        except SignInNeeded:
            response = visit.go_to_sign_in()
        except Foreign:
            response = await self.stop(visit, 403, "foreign")
        except HTTPException as error:  # a form that is none, or too large
            response = await self.stop(visit, error.status_code, "form")
        except ClientDisconnect:
            response = Response(status_code=400)
        except Refused as refused:
            response = await self._refused(visit, refused.answer)
        except Exception:
            log.exception("page.crashed", path=request.url.path)
            response = await self.stop(visit, 500, "broken")
        return visit.take_cookies(response)

    async def _refused(self, visit: Visit, answer: Answer) -> Response:
        """The page for a refusal that the handler did not expect."""
        if answer.status in (401, 403) and visit.is_signed_in and await visit.find_account() is None:
            return visit.go_to_sign_in()
        if answer.status == 403 and not visit.is_signed_in:
            return visit.go_to_sign_in()
        reason = {403: "forbidden", 404: "missing", 429: "often", 503: "busy"}.get(answer.status)
        if reason is None:
            log.error("page.refused", status=answer.status, reason=answer.text, path=visit.request.url.path)
            reason = "broken"
        response = await self.stop(visit, 500 if reason == "broken" else answer.status, reason)
        if after := answer.headers.get("retry-after"):
            response.headers["Retry-After"] = after
        return response

    async def stop(self, visit: Visit, status: int, reason: str) -> Response:
        """A page that says what is in the way and where to go from there."""
        return await self.show(visit, "stop.html", status=status, reason=reason)

    async def missing(self, request: Request) -> Response:
        """The page for a path that leads nowhere."""

        async def handler(visit: Visit) -> Response:
            return await self.stop(visit, 404, "missing")

        return await self.answer(request, handler)

    async def show(
        self,
        visit: Visit,
        template: str,
        *,
        status: int = 200,
        policy: Mapping[str, str] | None = None,
        is_private: bool = False,
        **facts: Any,
    ) -> Response:
        """A page, rendered from its template with these facts and those of every page."""
        account = await visit.find_account()
        for name in ("faults", "filled"):
            if name in facts:
                facts[name] = Fields(facts[name])
        html = (
            self.environment(visit.language)
            .get_template(template)
            .render(
                visit=visit,
                site=self.site,
                account=account,
                language=visit.language,
                languages=[language_of(code) for code in self.site.languages],
                cart_count=sum(visit.cart().values()),
                notice=words.NOTICES.get(visit.take_notice(), ""),
                canonical=f"{visit.origin}{visit.request.url.path}",
                **facts,
            )
        )
        response = HTMLResponse(html, status)
        private = is_private or visit.is_private or status >= 400 or 'name="once"' in html
        response.headers["Cache-Control"] = "private, no-store" if private else "private, no-cache"
        response.headers["Content-Security-Policy"] = _policy(self.site, policy or {})
        response.headers["Vary"] = "Cookie, Accept-Language"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(self), geolocation=(), microphone=(), payment=()"
        return response

    def environment(self, language: Language) -> Environment:
        """The templates in a language."""
        found = self._environments.get(language.code)
        if found is None:
            found = self._environments[language.code] = self._build(language)
        return found

    def _build(self, language: Language) -> Environment:
        environment = Environment(
            loader=PackageLoader("ticketing.pages"),
            autoescape=select_autoescape(["html", "xml"]),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            language.say, language.say_count, newstyle=True
        )
        environment.globals.update(asset=self.assets.url, once=once, words=words, len=len)
        environment.filters.update(
            money=lambda value, currency=self.site.currency: amount(language, value, currency),
            moment=moment_of,
            date=lambda moment: moment.date(language),
            short_date=lambda moment: moment.short_date(language),
            time=lambda moment: moment.time(language),
            both=lambda moment: moment.both(language),
            day=lambda moment: moment.day(language),
            month=lambda moment: moment.month(language),
            weekday=lambda moment: moment.weekday(language),
            id=words.id_of,
            slug=words.slug,
            say=language.say,
            when=functools.partial(words.when, language),
            doors=functools.partial(words.doors, language),
            paragraphs=words.paragraphs,
            twice=lambda text: (text, text),
        )
        return environment


def _policy(site: Site, more: Mapping[str, str]) -> str:
    directives = dict(POLICY)
    if site.media_origin:
        directives["img-src"] += f" {site.media_origin}"
    for name, value in more.items():
        directives[name] = f"{directives.get(name, '')} {value}".strip()
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def frame_of(visit: Visit) -> Frame:
    """The frame in which a visit takes place."""
    frame: Frame = visit.request.state.frame
    return frame


async def show(visit: Visit, template: str, **facts: Any) -> Response:
    """A page, rendered from its template (`Frame.show`)."""
    return await frame_of(visit).show(visit, template, **facts)
