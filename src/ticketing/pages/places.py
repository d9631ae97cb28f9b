"""What administrators set up: regions, venues, categories, and programs with keys of their own."""

from typing import Any

from starlette.responses import Response

from .client import Refused
from .console import REFUSALS
from .desk import ensure_staff
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Form, Visit

pages = Pages()

PLACES: dict[str, tuple[str, ...]] = {
    "regions": ("name", "country", "district", "city"),
    "venues": ("name", "region", "address", "latitude", "longitude"),
    "categories": ("name", "subcategories"),
}


@pages("GET /desk/regions", "GET /desk/venues", "GET /desk/categories")
async def places_page(visit: Visit) -> Response:
    """Regions, venues or categories, with a form for one more."""
    return await _show_places(visit, visit.request.url.path.rsplit("/", 1)[-1])


async def _show_places(visit: Visit, kind: str, *, status: int = 200, **facts: Any) -> Response:
    await ensure_staff(visit, administrator=True)
    things = (await visit.api.get(f"/{kind}", records=500))["entries"]
    given: dict[str, Any] = {"faults": {}, "trouble": "", "filled": {}, "about": "", **facts}
    return await show(
        visit,
        "desk_places.html",
        status=status,
        is_private=True,
        here=kind,
        role="administrator",
        kind=kind,
        things=things,
        regions=(await visit.api.get("/regions", records=500))["entries"] if kind == "venues" else [],
        countries=(await visit.api.get("/countries"))["countries"] if kind == "regions" else [],
        **given,
    )


def _read_place(kind: str, form: Form) -> tuple[dict[str, str], dict[str, Any]]:
    filled = form.values(PLACES[kind])
    body: dict[str, Any] = dict(filled)
    if kind == "categories":
        body["subcategories"] = [one.strip() for one in filled["subcategories"].split("\n") if one.strip()]
    for name in ("latitude", "longitude"):
        if name in body:
            body[name] = _number(body[name])
    return filled, body


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


async def _keep_place(visit: Visit, kind: str, about: str, method: str, path: str) -> Response:
    form = await visit.form()
    await ensure_staff(visit, administrator=True)
    filled, body = _read_place(kind, form)
    try:
        await visit.api.call(method, path, body=body, once=form.once if method == "POST" else "")
    except Refused as refused:
        answer = refused.answer
        if answer.status not in REFUSALS:
            raise
        faults = faults_of(answer, visit.language)
        trouble = trouble_of(answer, visit.language, dict.fromkeys(PLACES[kind]))
        return await _show_places(
            visit, kind, status=answer.status, about=about, filled=filled, faults=faults, trouble=trouble
        )
    visit.tell("saved")
    return visit.go(f"/desk/{kind}")


@pages("POST /desk/regions", "POST /desk/venues", "POST /desk/categories")
async def add_place(visit: Visit) -> Response:
    """Add one."""
    kind = visit.request.url.path.rsplit("/", 1)[-1]
    return await _keep_place(visit, kind, "new", "POST", f"/{kind}")


@pages("POST /desk/{kind}/{thing}/change")
async def change_place(visit: Visit) -> Response:
    """Change one."""
    kind = _kind(visit)
    return await _keep_place(visit, kind, visit.part("thing"), "PUT", f"/{kind}/{visit.part('thing')}")


@pages("POST /desk/{kind}/{thing}/removal")
async def remove_place(visit: Visit) -> Response:
    """Remove one that nothing uses."""
    await ensure_staff(visit, administrator=True)
    kind = _kind(visit)
    try:
        await visit.api.delete(f"/{kind}/{visit.part('thing')}")
    except Refused as refused:
        if refused.answer.status != 409:
            raise
        trouble = trouble_of(refused.answer, visit.language, {})
        return await _show_places(visit, kind, status=409, about="", trouble=trouble)
    visit.tell("removed")
    return visit.go(f"/desk/{kind}")


def _kind(visit: Visit) -> str:
    kind: str = visit.request.path_params["kind"]
    return kind if kind in PLACES else "regions"


# --- programs


@pages("GET /desk/integrations")
async def integrations_page(visit: Visit) -> Response:
    """Programs with a key of their own."""
    return await _show_integrations(visit)


async def _show_integrations(visit: Visit, *, status: int = 200, **facts: Any) -> Response:
    await ensure_staff(visit, administrator=True)
    found = await visit.api.get("/integrations", records=500)
    given: dict[str, Any] = {"faults": {}, "trouble": "", "filled": {}, "made": None, **facts}
    return await show(
        visit,
        "desk_integrations.html",
        status=status,
        is_private=True,
        here="integrations",
        role="administrator",
        integrations=found["entries"],
        **given,
    )


@pages("POST /desk/integrations")
async def add_integration(visit: Visit) -> Response:
    """Make a key, which is shown this once."""
    form = await visit.form()
    await ensure_staff(visit, administrator=True)
    filled = form.values(("name", "access"))
    try:
        made = await visit.api.post("/integrations", filled)
    except Refused as refused:
        answer = refused.answer
        if answer.status not in REFUSALS:
            raise
        return await _show_integrations(
            visit,
            status=answer.status,
            filled=filled,
            faults=faults_of(answer, visit.language),
            trouble=trouble_of(answer, visit.language, filled),
        )
    return await _show_integrations(visit, made=made)


@pages("POST /desk/integrations/{integration}/removal")
async def revoke_integration(visit: Visit) -> Response:
    """Make a key useless at once."""
    await ensure_staff(visit, administrator=True)
    await visit.api.delete(f"/integrations/{visit.part('integration')}")
    visit.tell("removed")
    return visit.go("/desk/integrations")
