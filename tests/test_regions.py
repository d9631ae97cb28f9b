"""Regions: where events are staged."""

from conftest import Client, unique

GENERAL = {"error": "There is presently no resource with the given URI."}


async def test_an_administrator_adds_a_region_and_anybody_reads_it(administrator: Client, alice: Client) -> None:
    name = unique("Saint John's")
    added = await administrator.post("/regions", name=name, country="Antigua and Barbuda", city="All Saints")
    assert added.status == 201
    assert added.body == {
        "self": added["self"],
        "name": name,
        "country": "Antigua and Barbuda",
        "district": "",
        "city": "All Saints",
        "icon": "http://tickets.test/media/antigua_and_barbuda.png",
    }
    assert (await alice.get(added["self"])).body == added.body
    listed = await alice.get("/regions", records=500)
    assert added.body in listed["entries"]


async def test_all_missing_members_are_named_then_all_invalid_ones(administrator: Client) -> None:
    missing = await administrator.post("/regions", name="", country=None)
    assert missing.status == 400
    assert missing.error == "The following arguments are required, but have not been supplied: name, country."
    invalid = await administrator.post("/regions", name=7, country="Atlantis", city=["x"])
    assert invalid.status == 400
    assert invalid.error == "The following arguments have invalid values: name, country, city."


async def test_a_taken_name_is_told_before_a_faulty_body(administrator: Client) -> None:
    name = unique("Paris")
    await administrator.post("/regions", name=name, country="France")
    refused = await administrator.post("/regions", name=name.upper(), country="")
    assert (refused.status, refused.error) == (
        409,
        "The following arguments conflict with those of another region: name.",
    )


async def test_put_replaces_keeps_and_clears(administrator: Client) -> None:
    region = await administrator.post("/regions", name=unique("A"), country="France", district="D", city="C")
    kept = await administrator.put(region["self"], name=region["name"], country="Spain", city=None)
    assert kept.status == 200
    assert (kept["country"], kept["district"], kept["city"]) == ("Spain", "D", "")
    refused = await administrator.put(region["self"], name=region["name"])
    assert refused.error == "The following arguments are required, but have not been supplied: country."


async def test_a_removed_region_is_gone_and_its_name_free(administrator: Client) -> None:
    name = unique("Rome")
    region = await administrator.post("/regions", name=name, country="Italy")
    gone = await administrator.delete(region["self"])
    assert (gone.status, list(gone.body)) == (200, ["message"])
    for again in (await administrator.get(region["self"]), await administrator.delete(region["self"])):
        assert (again.status, again.body) == (404, GENERAL)
    assert (await administrator.post("/regions", name=name, country="Italy")).status == 201


async def test_an_id_has_one_spelling(administrator: Client, public: Client) -> None:
    region = await administrator.post("/regions", name=unique("Oslo"), country="Norway")
    number = region["self"].rsplit("/", 1)[1]
    for other in (f"0{number}", f"+{number}", f"{number}.0", f"{number}%20", f"{number}%00"):
        answer = await public.get(f"/regions/{other}")
        assert (answer.status, answer.body) == (404, GENERAL), other


async def test_only_administrators_write(alice: Client, administrator: Client) -> None:
    refused = await alice.post("/regions", name="x")
    assert (refused.status, refused.body) == (
        403,
        {"message": "You are restricted from accessing this resource."},
    )
