"""Finding events by a part of the title, an expression, or words of what belongs to them."""

import time
from typing import Any

import asyncpg
import pytest

from conftest import Client, unique
from makers import id_of, list_event, make_category, make_event, make_host, make_venue
from ticketing.kit.searching import fold, pieces, pieces_of_word

TITLES = [
    "Dawn of the Seven (Premier)?",
    "ÉCLAIR à la carte",
    "Вечер джаза",
    "東京の夜 2034",
    "ليلة الجاز",
    "What? (a+b)* [c] 100%_",
    "Straße in Flammen",
    "ΝΙΚΟΣ live",
]


@pytest.fixture(scope="module")
async def host(alice: Client) -> dict[str, Any]:
    return await make_host(alice, name=unique("Wadadli Nächte"))


@pytest.fixture(scope="module")
async def events(administrator: Client, alice: Client, host: dict[str, Any]) -> dict[str, dict[str, Any]]:
    venue = await make_venue(administrator, name=unique("Sir Vivian Stadium"))
    category = await make_category(administrator, name=unique("Кино"))
    made = {}
    for title in TITLES:
        event = await make_event(
            alice, administrator, host, title=title, venue=venue["self"], category=category["self"]
        )
        made[title] = await list_event(administrator, event)
    return made


async def found(public: Client, **query: Any) -> set[str]:
    answer = await public.get("/published-events", records=500, **query)
    assert answer.status == 200, answer.body
    return {entry["title"] for entry in answer["entries"]} & set(TITLES)


@pytest.mark.parametrize("title", TITLES)
async def test_a_whole_title_finds_itself(events: Any, public: Client, title: str) -> None:
    for text in (title, title.upper(), title.lower(), f" {title} "):
        assert await found(public, title=text) == {title}, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seven", {TITLES[0]}),
        ("SEVEN (", {TITLES[0]}),
        ("éclair", {TITLES[1]}),
        ("ВЕЧЕР", {TITLES[2]}),
        ("^dawn.*premier", {TITLES[0]}),
        ("^вечер", {TITLES[2]}),
        ("^ВЕЧЕР\\s", {TITLES[2]}),
        ("(seven|東京)", {TITLES[0], TITLES[3]}),
        ("\\d{4}$", {TITLES[3]}),
        ("^É", {TITLES[1]}),
        ("100%", {TITLES[5]}),
        ("%_", {TITLES[5]}),
        ("STRASSE", {TITLES[6]}),
        ("νικος", {TITLES[7]}),
        ("(", {TITLES[0], TITLES[5]}),
        ("[", {TITLES[5]}),
        ("*", {TITLES[5]}),
        ("(a+b)*", set(TITLES)),  # an expression, which finds nothing anywhere
        ("(.)\\1", set()),  # back-references are plain text
        ("x" * 101, set()),
        ("(?=", set()),
        ("\u200b", set()),
        ("(((a{1,100}){1,100}){1,100})", set()),
    ],
)
async def test_a_part_or_an_expression_finds_titles(events: Any, public: Client, text: str, expected: set[str]) -> None:
    assert await found(public, title=text) == expected


async def test_every_list_of_events_takes_them(events: Any, alice: Client, administrator: Client, host: Any) -> None:
    for client, path in ((administrator, "/events"), (alice, f"{host['self']}/events")):
        answer = await client.get(path, title="^dawn", host=id_of(host))
        assert [entry["title"] for entry in answer["entries"]] == [TITLES[0]]
        answer = await client.get(path, search="premier dawn", host=id_of(host))
        assert [entry["title"] for entry in answer["entries"]] == [TITLES[0]]


async def test_an_expression_that_takes_too_long_is_refused(
    events: Any, public: Client, db: asyncpg.Connection, alice: Client, administrator: Client, host: Any
) -> None:
    await db.execute("UPDATE events SET title = repeat('a', 100000) WHERE id = $1", int(id_of(events[TITLES[4]])))
    try:
        began = time.monotonic()
        refused = await public.get("/published-events", title="(a?){40}(a*)*(a|aa)+(.*){9}b$")
        assert refused.status in (200, 400), refused.body
        if refused.status == 400:
            assert refused.error == "The following arguments have invalid values: title."
        assert time.monotonic() - began < 30
    finally:
        await db.execute("UPDATE events SET title = $2 WHERE id = $1", int(id_of(events[TITLES[4]])), TITLES[4])


async def test_time_is_up_is_an_invalid_title(events: Any, public: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from ticketing.events import finding

    def sleeps(_row: Any, _arguments: list[Any]) -> str:
        return "(SELECT pg_sleep(9)) IS NOT NULL"

    monkeypatch.setattr(finding, "_has_word", sleeps)
    refused = await public.get("/published-events", title="^dawn", search="dawn")
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: title.")
    assert (await public.get("/published-events", title="dawn")).status == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("premier dawn", {TITLES[0]}),
        ("prem sev", {TITLES[0]}),
        ("eclair", {TITLES[1]}),
        ("CARTE Éclair", {TITLES[1]}),
        ("джаз", {TITLES[2]}),
        ("東京", {TITLES[3]}),
        ("夜", {TITLES[3]}),
        ("2034 東", {TITLES[3]}),
        ("الجاز", {TITLES[4]}),
        ("strasse flammen", {TITLES[6]}),
        ("νίκος", {TITLES[7]}),
        ("wadadli nachte", set(TITLES)),
        ("vivian dawn", {TITLES[0]}),
        ("кино", set(TITLES)),
        ("dawn tokyo", set()),
        ("", set(TITLES)),
    ],
)
async def test_words_are_found_in_all_that_belongs_to_an_event(
    events: Any, public: Client, text: str, expected: set[str]
) -> None:
    assert await found(public, search=text) == expected


async def test_search_follows_a_new_name(administrator: Client, alice: Client, public: Client) -> None:
    host = await make_host(alice, name=unique("Oldname"))
    event = await list_event(administrator, await make_event(alice, administrator, host))
    word = unique("Zweithost").replace(" ", "")
    await alice.put(host["self"], {**host, "name": word})
    listed = await public.get("/published-events", search=word.upper())
    assert [one["self"] for one in listed["entries"]] == [event["self"]]


@pytest.mark.parametrize("text", ["\x00", "!?", "a" * 51, "a b c d e f g h i j k", "x " * 5000])
async def test_what_nobody_can_look_for_is_refused(events: Any, public: Client, text: str) -> None:
    refused = await public.get("/published-events", search=text)
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: search.")


async def test_states_that_follow_from_the_time(administrator: Client, alice: Client, host: dict[str, Any]) -> None:
    over = await list_event(
        administrator, await make_event(alice, administrator, host, start="2020-01-01T20:00", end="2020-01-01T22:00")
    )
    waiting = await make_event(alice, administrator, host)
    assert (await alice.post(f"{waiting['self']}/submissions", {})).status == 201
    for status, event in (("Staged", over), ("Under Review", waiting)):
        answer = await alice.get(f"{host['self']}/events", status=status, records=500)
        assert [one["self"] for one in answer["entries"]] == [event["self"]]


def test_folding_forgets_accents_and_case() -> None:
    assert fold("Crème BRÛLÉE!") == fold("creme-brulee") == "creme brulee"
    assert fold("Ⅷ. ΝΊΚΟΣ") == "viii νικοσ"


def test_every_part_of_a_word_is_among_its_pieces() -> None:
    text = fold("Éclair 東京 abc")
    for word in text.split():
        for start in range(len(word)):
            for end in range(start + 1, len(word) + 1):
                assert set(pieces_of_word(word[start:end])) <= set(pieces(text))
