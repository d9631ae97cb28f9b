"""What the demo shows, as clients would send it; names stand for ids, and days are counted from today."""

from dataclasses import dataclass, field
from typing import Any, Literal

PASSWORD = "demo-password"  # noqa: S105 - everybody's, and printed at start
SHOP = "Demo shop"
PUBLIC_KEY = "0123456789abcdef0123456789abcdef"
GATE_CODE = "DEMOGATE"
ADMINISTRATOR, HOST, CUSTOMER = "admin", "host", "customer"
OPEN_EVENT = "Jazz at the Lookout"  # free, and the gate code is for it

CANCELLED_FOR = "The slipway is closed for repairs until the end of the season."

REGIONS = [
    {"name": "Saint John's", "country": "Antigua and Barbuda", "district": "Saint John", "city": "Saint John's"},
    {"name": "English Harbour", "country": "Antigua and Barbuda", "district": "Saint Paul", "city": "English Harbour"},
    {"name": "Bridgetown", "country": "Barbados", "district": "Saint Michael", "city": "Bridgetown"},
    {"name": "Reykjavík", "country": "Iceland", "district": "Capital Region", "city": "Reykjavík"},
]

VENUES = [
    {
        "name": "Sir Vivian Richards Stadium",
        "region": "Saint John's",
        "address": "Sir Sydney Walling Highway, North Sound",
        "longitude": -61.7849,
        "latitude": 17.1033,
    },
    {
        "name": "Museum of Antigua and Barbuda",
        "region": "Saint John's",
        "address": "Long Street, Saint John's",
        "longitude": -61.8449,
        "latitude": 17.1216,
    },
    {
        "name": "Nelson's Dockyard",
        "region": "English Harbour",
        "address": "Dockyard Drive, English Harbour",
        "longitude": -61.7647,
        "latitude": 17.0068,
    },
    {
        "name": "Shirley Heights Lookout",
        "region": "English Harbour",
        "address": "Shirley Heights, English Harbour",
        "longitude": -61.7533,
        "latitude": 17.0009,
    },
    {
        "name": "Kensington Oval",
        "region": "Bridgetown",
        "address": "Fontabelle, Bridgetown",
        "longitude": -59.6226,
        "latitude": 13.1051,
    },
    {
        "name": "Harpa Concert Hall",
        "region": "Reykjavík",
        "address": "Austurbakki 2, 101 Reykjavík",
        "longitude": -21.9325,
        "latitude": 64.1503,
    },
]

CATEGORIES = [
    {"name": "Music", "subcategories": ["Jazz", "Soca", "Steelpan", "Classical"]},
    {"name": "Film", "subcategories": ["Premiere", "Documentary", "Short film"]},
    {"name": "Sport", "subcategories": ["Cricket", "Sailing"]},
    {"name": "Talks and workshops", "subcategories": ["Panel", "Reading", "Workshop"]},
]

PEOPLE = [
    (ADMINISTRATOR, "Desmond", "Baptiste", "administrator"),
    ("support", "Joan", "Prosper", "support"),
    (HOST, "Alice", "Joseph", "customer"),
    ("marcus", "Marcus", "Henry", "customer"),
    ("ingrid", "Ingrid", "Jónsdóttir", "customer"),
    (CUSTOMER, "Bob", "Francis", "customer"),
    ("cleo", "Cleo", "Williams", "customer"),
    ("dario", "Dario", "Mendes", "customer"),
    ("esther", "Esther", "Okafor", "customer"),
    ("femi", "Femi", "Adeyemi", "customer"),
    ("grace", "Grace", "Lewis", "customer"),
    ("hugo", "Hugo", "Lindqvist", "customer"),
    ("iris", "Iris", "Warner", "customer"),
    ("jonah", "Jonah", "Benjamin", "customer"),
]
NEWCOMER = "iris"  # has just registered: codes are in the mail
CLOSED = "jonah"  # asked to be deleted
INVITED = {"Harbour Film Society": HOST}  # whom a host's founder asked to run it too, and who has not said yes

HOSTS = {
    "Wadadli Nights": (
        HOST,
        {
            "contact": "Alice Joseph",
            "email": "nights@example.com",
            "description": "Music under the open sky, every Thursday and Sunday.",
            "phone": "+1 268 460 1234",
            "website": "https://nights.example.com",
            "country": "Antigua and Barbuda",
            "firstAddressLine": "12 Market Street",
            "city": "Saint John's",
        },
    ),
    "Harbour Film Society": (
        "marcus",
        {
            "contact": "Marcus Henry",
            "email": "film@example.com",
            "description": "We show what the islands make, and talk about it afterwards.",
            "website": "https://film.example.com",
            "country": "Antigua and Barbuda",
            "city": "English Harbour",
        },
    ),
    "Norðurljós Concerts": (
        "ingrid",
        {
            "contact": "Ingrid Jónsdóttir",
            "email": "concerts@example.com",
            "description": "Chamber music for long winters.",
            "country": "Iceland",
            "city": "Reykjavík",
        },
    ),
}


Ending = Literal["paid", "declined", "refunded"]


@dataclass(frozen=True)
class DemoEvent:
    """An event and what became of it.

    `days` from today it begins at `start` and ends at `end` of the same day, in local time; its `doors` may open
    before. `sections` are name,
    description, price and places; `orders` who took how many places of which section, free ones; `bought` the same of
    what costs something, and what became of the payment; `transfers` who sent whom how many of which section, and
    whether they were claimed.
    """

    title: str
    host: str
    category: str
    subcategory: str
    venue: str
    description: str
    days: int
    status: str
    sections: list[tuple[str, str, float, int]]
    start: str = "20:00"
    end: str = "23:00"
    doors: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    early: float | None = None
    orders: list[tuple[str, str, int]] = field(default_factory=list)
    bought: list[tuple[str, str, int, Ending]] = field(default_factory=list)
    transfers: list[tuple[str, str, str, int, bool]] = field(default_factory=list)
    admitted: bool = False


EVENTS = [
    DemoEvent(
        title=OPEN_EVENT,
        host="Wadadli Nights",
        category="Music",
        subcategory="Jazz",
        venue="Shirley Heights Lookout",
        description="A quartet, the sunset and the harbour below. The lawn is free; bring a blanket.",
        days=200,
        status="Listed",
        start="17:00",
        end="21:00",
        sections=[
            ("Lawn", "Free places on the grass", 0, 5000),
            ("Terrace", "A table and a welcome drink", 45, 60),
        ],
        details={"tags": ["jazz", "free", "sunset"], "featured": True},
        bought=[("esther", "Terrace", 2, "paid")],
        orders=[(CUSTOMER, "Lawn", 2), ("cleo", "Lawn", 4), ("dario", "Lawn", 1), ("grace", "Lawn", 3)],
        transfers=[
            ("cleo", CUSTOMER, "Lawn", 2, False),
            (CUSTOMER, "hugo", "Lawn", 1, False),
            ("grace", CUSTOMER, "Lawn", 1, True),
        ],
    ),
    DemoEvent(
        title="Dawn of the Seven Premiere",
        host="Harbour Film Society",
        category="Film",
        subcategory="Premiere",
        venue="Nelson's Dockyard",
        description="The first showing of the long awaited film, on a sail between two masts. The cast is here.",
        days=24,
        status="Listed",
        doors="19:00",
        sections=[
            ("Quay", "Chairs along the water", 30, 400),
            ("Backstage", "Meet the cast after the film", 120, 25),
        ],
        details={
            "tags": ["film", "premiere"],
            "featured": True,
            "disclaimer": "In case of rain the showing moves to the next evening; tickets stay valid.",
        },
        early=22,
        bought=[
            (CUSTOMER, "Quay", 2, "paid"),
            ("cleo", "Quay", 4, "paid"),
            ("dario", "Quay", 1, "declined"),
            ("dario", "Quay", 1, "paid"),
            ("grace", "Quay", 2, "refunded"),
            ("hugo", "Backstage", 1, "paid"),
            (CUSTOMER, "Backstage", 1, "declined"),
        ],
    ),
    DemoEvent(
        title="Soca Sunrise",
        host="Wadadli Nights",
        category="Music",
        subcategory="Soca",
        venue="Kensington Oval",
        description="From four in the morning until the sun stands high.",
        days=45,
        status="Listed",
        start="04:00",
        end="10:00",
        doors="03:30",
        sections=[("Field", "Standing", 55, 8000), ("Party Stand", "Seats, shade and a bar", 95, 1200)],
        details={"tags": ["soca", "carnival"]},
        early=40,
        bought=[("femi", "Field", 6, "paid"), ("grace", "Party Stand", 2, "paid"), (CUSTOMER, "Field", 1, "refunded")],
    ),
    DemoEvent(
        title="Small Islands, Big Screens",
        host="Harbour Film Society",
        category="Talks and workshops",
        subcategory="Panel",
        venue="Museum of Antigua and Barbuda",
        description="Four directors on making films where everybody knows everybody.",
        days=10,
        status="Listed",
        start="18:30",
        end="20:30",
        sections=[("Reading Room", "All forty chairs we have", 0, 40)],
        details={"type": "Registration", "tags": ["film", "free"]},
        orders=[
            ("cleo", "Reading Room", 8),
            ("dario", "Reading Room", 8),
            ("esther", "Reading Room", 10),
            ("femi", "Reading Room", 6),
            ("hugo", "Reading Room", 8),
        ],
    ),
    DemoEvent(
        title="Friends of the Society: Rough Cut",
        host="Harbour Film Society",
        category="Film",
        subcategory="Documentary",
        venue="Museum of Antigua and Barbuda",
        description="An unfinished film for those who paid for it. Listed, but only those with the link find it.",
        days=17,
        status="Listed",
        start="19:00",
        end="21:00",
        sections=[("Reading Room", "Chairs", 0, 40)],
        details={"public": False},
        orders=[("esther", "Reading Room", 2)],
    ),
    DemoEvent(
        title="Leewards v Windwards",
        host="Wadadli Nights",
        category="Sport",
        subcategory="Cricket",
        venue="Sir Vivian Richards Stadium",
        description="A day at the cricket for the children's hospital.",
        days=60,
        status="Submitted",
        start="09:30",
        end="17:30",
        sections=[("North Stand", "Shade until three", 15, 3000), ("Grass Mound", "Bring your own shade", 5, 2000)],
        details={"tags": ["cricket", "charity"]},
    ),
    DemoEvent(
        title="Writing for Radio",
        host="Harbour Film Society",
        category="Talks and workshops",
        subcategory="Workshop",
        venue="Museum of Antigua and Barbuda",
        description="Two mornings, twelve people, one microphone.",
        days=38,
        status="Draft",
        start="09:00",
        end="12:30",
        sections=[("Table", "A place at the table", 25, 12)],
        details={"type": "Registration"},
    ),
    DemoEvent(
        title="Northern Lights Quartet",
        host="Norðurljós Concerts",
        category="Music",
        subcategory="Classical",
        venue="Harpa Concert Hall",
        description="Haydn, Leifs and a new piece that has no name yet.",
        days=75,
        status="Unlisted",
        sections=[("Norðurljós", "The small hall", 65, 450)],
        details={"tags": ["chamber music"]},
    ),
    DemoEvent(
        title="Moonlight Steelpan Serenade",
        host="Wadadli Nights",
        category="Music",
        subcategory="Steelpan",
        venue="Nelson's Dockyard",
        description="Three steel orchestras on the slipway.",
        days=6,
        status="Cancelled",
        sections=[("Slipway", "Standing", 0, 600), ("Pontoon", "Chairs by the water", 35, 60)],
        bought=[("hugo", "Pontoon", 2, "paid")],  # the worker gives it back
        orders=[("femi", "Slipway", 2), ("grace", "Slipway", 2)],
    ),
    DemoEvent(
        title="Regatta Night",
        host="Wadadli Nights",
        category="Sport",
        subcategory="Sailing",
        venue="Nelson's Dockyard",
        description="Prize-giving, fish and music after the last race.",
        days=-21,
        status="Listed",
        sections=[("Dockside", "Standing", 0, 800)],
        orders=[(CUSTOMER, "Dockside", 2), ("cleo", "Dockside", 2), ("hugo", "Dockside", 3), ("esther", "Dockside", 1)],
        admitted=True,
    ),
]
