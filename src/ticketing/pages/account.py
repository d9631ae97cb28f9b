"""One's own account: who one is, how to sign in, where one is signed in, and leaving."""

from typing import Any

from starlette.responses import Response

from .client import Refused
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Visit

pages = Pages()

PROFILE = (
    *("title", "firstName", "lastName", "dateOfBirth", "phone", "email"),
    *("firstAddressLine", "secondAddressLine", "city", "state", "country"),
)
REFUSALS = (400, 401, 403, 404, 409, 422, 429, 503)


@pages("GET /account")
async def account_page(visit: Visit) -> Response:
    """Everything about the account on one page."""
    return await _show(visit)


async def _show(visit: Visit, *, status: int = 200, **facts: Any) -> Response:
    account = await visit.account()
    sessions = await visit.api.get(f"{account['self']}/sessions", records=100)
    preferences = await visit.api.get(account["preferences"])
    given: dict[str, Any] = {"faults": {}, "trouble": "", "about": "", "filled": account, **facts}
    return await show(
        visit,
        "account.html",
        status=status,
        is_private=True,
        sessions=[one for one in reversed(sessions["entries"]) if one["open"]],
        preferences=preferences,
        regions=(await visit.api.get("/regions", records=500))["entries"],
        countries=(await visit.api.get("/countries"))["countries"],
        **given,
    )


async def _refused(visit: Visit, refused: Refused, about: str, **facts: Any) -> Response:
    """The page again, with what is wrong beside the form that it is about."""
    answer = refused.answer
    if answer.status not in REFUSALS:
        raise refused
    faults = faults_of(answer, visit.language)
    trouble = trouble_of(answer, visit.language, dict.fromkeys([*PROFILE, "current", "password", "code", "region"]))
    return await _show(visit, status=answer.status, about=about, faults=faults, trouble=trouble, **facts)


@pages("POST /account")
async def change_profile(visit: Visit) -> Response:
    """Change name and address."""
    form, account = await visit.form(), await visit.account()
    filled = form.values(PROFILE)
    try:
        await visit.api.put(account["self"], {**filled, "username": account["username"]})
    except Refused as refused:
        return await _refused(visit, refused, "profile", filled={**account, **filled})
    visit.tell("saved")
    return visit.go("/account")


@pages("POST /account/password")
async def change_password(visit: Visit) -> Response:
    """Another password; sessions elsewhere end."""
    form, account = await visit.form(), await visit.account()
    body = {"current": form.raw("current"), "password": form.raw("password")}
    try:
        await visit.api.put(f"{account['self']}/password", body)
    except Refused as refused:
        return await _refused(visit, refused, "password")
    visit.tell("password_changed")
    return visit.go("/account")


@pages("POST /account/preferences")
async def change_preferences(visit: Visit) -> Response:
    """Where one looks for events first."""
    form, account = await visit.form(), await visit.account()
    try:
        await visit.api.put(account["preferences"], {"region": form.text("region")})
    except Refused as refused:
        return await _refused(visit, refused, "preferences")
    visit.tell("saved")
    return visit.go("/account")


@pages("POST /account/verifications")
async def ask_for_code(visit: Visit) -> Response:
    """Have a code sent to the address."""
    account = await visit.account()
    try:
        asked = await visit.api.post("/verifications", {"email": account["email"]})
    except Refused as refused:
        return await _refused(visit, refused, "verification")
    return await _show(visit, verification=asked["self"])


@pages("POST /account/verifications/{verification}")
async def verify(visit: Visit) -> Response:
    """Prove the address by the code."""
    form = await visit.form()
    path = f"/verifications/{visit.part('verification')}"
    try:
        await visit.api.patch(path, {"code": form.text("code")})
    except Refused as refused:
        return await _refused(visit, refused, "verification", verification=path)
    visit.tell("verified")
    return visit.go("/account")


@pages("POST /account/sessions/{session}")
async def end_session(visit: Visit) -> Response:
    """Sign out a browser or program elsewhere."""
    await visit.account()
    await visit.api.ask("DELETE", f"/sessions/{visit.part('session')}")
    visit.tell("session_ended")
    return visit.go("/account")


@pages("POST /account/deletions")
async def leave(visit: Visit) -> Response:
    """Ask to be deleted; the account closes at once."""
    form, account = await visit.form(), await visit.account()
    try:
        await visit.api.post(f"{account['self']}/deletions", {"reason": form.text("reason") or "-"})
    except Refused as refused:
        return await _refused(visit, refused, "deletion")
    visit.forget_session()
    visit.tell("leaving")
    return visit.go("/")


# --- a forgotten password


@pages("GET /reset")
async def reset_page(visit: Visit) -> Response:
    """Ask for a code that lets one choose a new password."""
    return await show(visit, "reset.html", is_private=True, reset="", filled={}, faults={}, trouble="")


@pages("POST /reset")
async def ask_for_reset(visit: Visit) -> Response:
    """Have the code sent; whether there is such an account is not told."""
    form = await visit.form()
    filled = form.values(["email"])
    reset, faults, trouble, status = "", {}, "", 200
    try:
        reset = (await visit.api.post("/resets", filled))["self"]
    except Refused as refused:
        answer = refused.answer
        if answer.status not in REFUSALS:
            raise
        if answer.status == 404:
            reset = "/resets/0"
        else:
            faults = faults_of(answer, visit.language)
            trouble, status = trouble_of(answer, visit.language, filled), answer.status
    return await show(
        visit, "reset.html", status=status, is_private=True, reset=reset, filled=filled, faults=faults, trouble=trouble
    )


@pages("POST /reset/{reset}")
async def reset_password(visit: Visit) -> Response:
    """Choose a new password with the code."""
    form = await visit.form()
    path = f"/resets/{visit.part('reset')}"
    try:
        await visit.api.patch(path, {"code": form.text("code"), "password": form.raw("password")})
    except Refused as refused:
        answer = refused.answer
        if answer.status not in REFUSALS:
            raise
        return await show(
            visit,
            "reset.html",
            status=answer.status,
            is_private=True,
            reset=path,
            filled=form.values(["email"]),
            faults=faults_of(answer, visit.language),
            trouble=visit.language.say("This code is not right. Look at the newest letter.")
            if answer.status == 404
            else trouble_of(answer, visit.language, {"code": 1, "password": 1}),
        )
    visit.tell("password_changed")
    return visit.go("/sign-in")
