"""Coming in: signing in and out, a new account, a forgotten password."""

from starlette.responses import Response

from .client import Refused
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Visit, local_path

pages = Pages()

FIELDS = ("firstName", "lastName", "email", "username")


@pages("GET /sign-in")
async def sign_in_page(visit: Visit) -> Response:
    """Who are you? By password or by a code to one's address; or a new account."""
    back = local_path(visit.query("next"), "/tickets")
    if await visit.find_account() is not None:
        return visit.go(back)
    return await _show(visit, back)


async def _show(visit: Visit, back: str, *, status: int = 200, **facts: object) -> Response:
    if not visit.may_sign_in:
        return await show(visit, "stop.html", status=403, reason="insecure")
    given = {"filled": {}, "faults": {}, "trouble": "", **facts}
    return await show(visit, "sign_in.html", status=status, is_private=True, back=back, **given)


@pages("POST /sign-in")
async def sign_in(visit: Visit) -> Response:
    """Start a session by password."""
    form = await visit.form()
    back = local_path(form.text("next"), "/tickets")
    filled = form.values(["identification"])
    if not visit.may_sign_in:
        return await _show(visit, back)
    body = {**filled, "password": form.raw("password")}
    try:
        session = await visit.api.post("/sessions", body)
    except Refused as refused:
        answer = refused.answer
        if answer.status not in (400, 401, 403, 404, 429, 503):
            raise
        faults = faults_of(answer, visit.language)
        trouble = trouble_of(answer, visit.language, {"identification": 1, "password": 1})
        return await _show(visit, back, status=answer.status, filled=filled, faults=faults, trouble=trouble)
    visit.start_session(session)
    visit.tell("signed_in")
    return visit.go(back)


@pages("POST /sign-out")
async def sign_out(visit: Visit) -> Response:
    """End the session, here and at the API."""
    if visit.is_signed_in:
        await visit.api.ask("DELETE", "/sessions/active")
    visit.forget_session()
    visit.keep_cart({})
    visit.tell("signed_out")
    response = visit.go("/")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@pages("GET /register")
async def registration_page(visit: Visit) -> Response:
    """A new account."""
    back = local_path(visit.query("next"), "/tickets")
    if not visit.may_sign_in:
        return await show(visit, "stop.html", status=403, reason="insecure")
    return await show(visit, "register.html", is_private=True, back=back, filled={}, faults={}, trouble="")


@pages("POST /register")
async def register(visit: Visit) -> Response:
    """Make an account, sign in with it, and ask for a code to its address."""
    form = await visit.form()
    back = local_path(form.text("next"), "/tickets")
    filled = form.values(FIELDS)
    body = {name: value for name, value in filled.items() if value} | {"password": form.raw("password")}
    try:
        await visit.api.post("/accounts", body, once=form.once)
        session = await visit.api.post(
            "/sessions", {"identification": filled["username"], "password": form.raw("password")}
        )
    except Refused as refused:
        answer = refused.answer
        if answer.status not in (400, 409, 422, 429, 503):
            raise
        return await show(
            visit,
            "register.html",
            status=answer.status,
            is_private=True,
            back=back,
            filled=filled,
            faults=faults_of(answer, visit.language),
            trouble=trouble_of(answer, visit.language, dict.fromkeys([*FIELDS, "password"])),
        )
    visit.start_session(session)
    await visit.api.ask("POST", "/verifications", body={"email": filled["email"]})
    visit.tell("registered")
    return visit.go(back)
