"""The images behind the URLs that answers carry."""

import asyncio
import base64
import io
from typing import Any

import asyncpg
import httpx
import pytest
from PIL import Image

from conftest import NEW_IDS, Client, unique
from makers import make_event
from ticketing.pictures.decoding import PictureError
from ticketing.pictures.serving import Pictures, remove_upload, store_upload


def data_url(colour: tuple[int, int, int] = (200, 30, 40)) -> str:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), colour).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


async def insert_event(db: asyncpg.Connection, status: str = "Listed", title: str = "") -> int:
    """An event and what it needs, written directly."""
    region, venue, category, host, event = [NEW_IDS.new() for _ in range(5)]
    await db.execute(
        "INSERT INTO regions (id, name, name_key, country, district, city)"
        " VALUES ($1, $2, lower($2), 'France', '', '')",
        region,
        unique("Region"),
    )
    await db.execute(
        "INSERT INTO venues (id, name, name_key, region_id, address, longitude, latitude, timezone)"
        " VALUES ($1, $2, lower($2), $3, 'Street', 0, 0, 'UTC')",
        venue,
        unique("Venue"),
        region,
    )
    await db.execute(
        "INSERT INTO categories (id, name, name_key, subcategories) VALUES ($1, $2, lower($2), '{Jazz}')",
        category,
        unique("Category"),
    )
    await db.execute(
        "INSERT INTO hosts VALUES ($1, $2, 'c', 'e@x.com', '', '', '', '', '', '', '', '', '', NULL, lower($2), '')",
        host,
        unique("Host"),
    )
    await db.execute(
        "INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,"
        " status, public, start_text, end_text, disclaimer, tags, published_at,"
        " title_key, title_sort)"
        " VALUES ($1, $2, $3, 'Jazz', $4, 'UTC', 'Standard', $5, '', $6, true, '', '', '', '[]', clock(),"
        " lower($5), '')",
        event,
        host,
        category,
        venue,
        title or unique("Event"),
        status,
    )
    return event


async def test_every_event_has_pictures_before_any_was_uploaded(http: httpx.AsyncClient, db: Any) -> None:
    event = await insert_event(db)
    for kind, size in (("banner", (960, 540)), ("thumbnail", (600, 600))):
        answer = await http.get(f"/media/{kind}/{event}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(answer.content)).size == size
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert answer.headers["x-content-type-options"] == "nosniff"
        same = await http.get(f"/media/{kind}/{event}", headers={"If-None-Match": answer.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == answer.headers["etag"]


async def test_an_upload_takes_its_place(http: httpx.AsyncClient, db: Any) -> None:
    event, pictures = await insert_event(db), Pictures()
    before = await http.get(f"/media/banner/{event}")
    await store_upload(db, event, "banner", await pictures.decode(data_url(), "banner"))
    after = await http.get(f"/media/banner/{event}", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert Image.open(io.BytesIO(after.content)).size == (40, 20)
    for sent in (after.headers["etag"], "W/" + after.headers["etag"]):
        same = await http.get(f"/media/banner/{event}", headers={"If-None-Match": sent})
        assert (same.status_code, same.content) == (304, b"")
    head = await http.head(f"/media/banner/{event}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(after.content))
    await store_upload(db, event, "banner", await pictures.decode(data_url((10, 200, 10)), "banner"))
    assert (await http.get(f"/media/banner/{event}")).headers["etag"] != after.headers["etag"]
    await remove_upload(db, event, "banner")
    assert (await http.get(f"/media/banner/{event}")).content == before.content
    pictures.close()


async def test_a_drafts_title_is_not_shown(http: httpx.AsyncClient, db: Any) -> None:
    event = await insert_event(db, "Draft")
    draft = await http.get(f"/media/banner/{event}")
    await db.execute("UPDATE events SET title = $2 WHERE id = $1", event, unique("Secret"))
    assert (await http.get(f"/media/banner/{event}")).content == draft.content
    await db.execute("UPDATE events SET status = 'Listed' WHERE id = $1", event)
    assert (await http.get(f"/media/banner/{event}")).content != draft.content


async def test_pictures_of_nothing(http: httpx.AsyncClient, db: Any) -> None:
    removed = await insert_event(db)
    await db.execute("UPDATE events SET removed_at = clock() WHERE id = $1", removed)
    for path in (f"banner/{removed}", "banner/1", "thumbnail/x", "banner/%00", "banner/..%2f..", "banner/1/2", "x/1"):
        assert (await http.get(f"/media/{path}")).status_code == 404, path
    for name in ("atlantis.png", "__init__.py", "%2e%2e%2fmedia.py", "croatia", "croatia.png%00"):
        assert (await http.get(f"/media/{name}")).status_code == 404, name
    assert (await http.post("/media/croatia.png")).status_code == 405


async def test_flags(http: httpx.AsyncClient) -> None:
    answer = await http.get("/media/antigua_and_barbuda.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    assert answer.headers["cache-control"] == "public, max-age=86400"
    same = await http.get("/media/antigua_and_barbuda.png", headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304


async def test_few_draw_at_once_and_few_wait() -> None:
    pictures = Pictures()
    answers = await asyncio.gather(
        *(pictures.draw("banner", str(number), "Title") for number in range(40)), return_exceptions=True
    )
    assert {type(answer).__name__ for answer in answers} == {"Picture", "Overloaded"}
    with pytest.raises(PictureError):
        await pictures.decode("data:image/png;base64,AAAA", "banner")
    assert await pictures.draw("banner", "0", "Title") is answers[0]
    pictures.close()


async def test_a_picture_comes_in_the_width_that_is_asked_for(
    http: httpx.AsyncClient, alice: Client, administrator: Client
) -> None:
    event = await make_event(alice, administrator, banner=data_url())
    path = event["banner"].split("/media", 1)[1]
    for width in (480, 960, 1600):
        answer = await http.get(f"/media{path}", params={"width": width})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert Image.open(io.BytesIO(answer.content)).width <= width
        tag = {"If-None-Match": answer.headers["etag"]}
        same = await http.get(f"/media{path}", params={"width": width}, headers=tag)
        assert (same.status_code, same.content) == (304, b"")
        # The copy of one width is none of another, nor of the picture as it is.
        for other in ({"width": 480 if width != 480 else 960}, {}):
            whole = await http.get(f"/media{path}", params=other, headers=tag)
            assert (whole.status_code, whole.content != b"") == (200, True)
    as_it_is = await http.get(f"/media{path}", params={"width": "7"})
    assert as_it_is.content == (await http.get(f"/media{path}")).content
