"""Categories: what kind of event it is."""

import asyncpg
import pytest

from conftest import NEW_IDS, Client, unique
from makers import id_of, make_category, make_host, make_venue

GENERAL = {"error": "There is presently no resource with the given URI."}
IN_USE = "You cannot delete in-use event categories."


async def stage(db: asyncpg.Connection, category: dict[str, object], subcategory: str, administrator: Client) -> int:
    """An event of this subcategory."""
    event = NEW_IDS.new()
    venue, host = await make_venue(administrator), await make_host(administrator)
    await db.execute(
        "INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,"
        " status, public, start_text, end_text, disclaimer, tags, published_at,"
        " title_key, title_sort)"
        " VALUES ($1, $2, $3, $4, $5, 'America/Antigua', 'Standard', $6, '', 'Draft', true, '', '', '', '[]', clock(),"
        " lower($6), '')",
        event,
        int(id_of(host)),
        int(id_of(category)),
        subcategory,
        int(id_of(venue)),
        unique("Event"),
    )
    return event


async def test_an_administrator_creates_a_category_and_anybody_reads_it(administrator: Client, public: Client) -> None:
    name = unique("Music")
    created = await administrator.post("/categories", name=name, subcategories=["Soca", "Jazz", "Éire & Co."])
    assert created.status == 201
    assert created.body == {
        "self": created["self"],
        "name": name,
        "subcategories": ["Soca", "Jazz", "Éire & Co."],
    }
    assert (await public.get(created["self"])).body == created.body
    assert created.body in (await public.get("/categories", records=500))["entries"]


async def test_subcategories_may_be_left_out_kept_and_cleared(administrator: Client) -> None:
    category = (await administrator.post("/categories", name=unique("Plain"))).body
    assert category["subcategories"] == []
    filled = await administrator.put(category["self"], name=category["name"], subcategories=["B", "A"])
    assert filled["subcategories"] == ["B", "A"]
    kept = await administrator.put(category["self"], name=category["name"].upper())
    assert (kept["name"], kept["subcategories"]) == (category["name"].upper(), ["B", "A"])
    cleared = await administrator.put(category["self"], name=category["name"], subcategories=[])
    assert (cleared.status, cleared["subcategories"]) == (200, [])


@pytest.mark.parametrize("subcategories", ["Jazz", ["Jazz", "jazz"], ["Jazz", 7], [""], ["a\x00b"], {"a": 1}, [[]]])
async def test_subcategories_are_distinct_texts(administrator: Client, subcategories: object) -> None:
    refused = await administrator.post("/categories", name=unique("Odd"), subcategories=subcategories)
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: subcategories.")


async def test_a_name_is_required_and_one_categorys_alone(administrator: Client) -> None:
    missing = await administrator.post("/categories", subcategories=[7])
    assert missing.error == "The following arguments are required, but have not been supplied: name."
    category = await make_category(administrator)
    for refused in (
        await administrator.post("/categories", name=category["name"].upper(), subcategories=[7]),
        await administrator.put((await make_category(administrator))["self"], name=category["name"]),
    ):
        assert (refused.status, refused.error) == (
            409,
            "The following arguments conflict with those of another category: name.",
        )


async def test_what_events_belong_to_cannot_go(administrator: Client, db: asyncpg.Connection) -> None:
    category = await make_category(administrator, subcategories=["Jazz", "Soca"])
    event = await stage(db, category, "Jazz", administrator)
    refused = await administrator.delete(category["self"])
    assert (refused.status, refused.error) == (409, IN_USE)
    dropped = await administrator.put(category["self"], name=category["name"], subcategories=["Soca"])
    assert (dropped.status, dropped.error) == (409, IN_USE)
    assert (await administrator.get(category["self"])).body == category
    reordered = await administrator.put(category["self"], name=category["name"], subcategories=["Calypso", "Jazz"])
    assert (reordered.status, reordered["subcategories"]) == (200, ["Calypso", "Jazz"])
    await db.execute("UPDATE events SET removed_at = clock() WHERE id = $1", event)
    assert (await administrator.put(category["self"], name=category["name"], subcategories=None)).status == 200
    assert (await administrator.delete(category["self"])).status == 200


async def test_a_removed_category_is_gone_and_its_name_free(administrator: Client) -> None:
    category = await make_category(administrator)
    gone = await administrator.delete(category["self"])
    assert (gone.status, list(gone.body)) == (200, ["message"])
    for again in (
        await administrator.get(category["self"]),
        await administrator.put(category["self"], name=""),
        await administrator.delete(category["self"]),
        await administrator.get("/categories/undefined"),
    ):
        assert (again.status, again.body) == (404, GENERAL)
    assert (await administrator.post("/categories", name=category["name"])).status == 201


async def test_only_administrators_write(alice: Client, administrator: Client) -> None:
    category = await make_category(administrator)
    for refused in (
        await alice.post("/categories", name="x"),
        await alice.put(category["self"], name="x"),
        await alice.delete(category["self"]),
    ):
        assert (refused.status, refused.body) == (403, {"message": "You are restricted from accessing this resource."})
