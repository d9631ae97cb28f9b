"""The page that shows mail while developing, and that it is nowhere else."""

import dataclasses
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import SECRET, Client
from mailing import postman
from makers import list_event, make_event, make_section, place
from ticketing.app import build_app
from ticketing.letters.posting import Letter, post
from ticketing.mail.transports import Away, Folder, Parcel
from ticketing.settings import BadSetting, Settings, read_settings

HERE = "http://localhost:8000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "mail"


@pytest.fixture(scope="module")
def settings(database: str, folder: Path) -> Settings:
    return Settings(
        database_url=database, secret=SECRET, rate_limits="off", mail_folder=str(folder), dev_pages="on", pool_size=8
    )


@pytest.fixture
async def browser(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on this machine."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE) as client:
        yield client


async def test_mail_of_the_folder_is_shown(
    browser: httpx.AsyncClient,
    settings: Settings,
    folder: Path,
    db: asyncpg.Connection,
    alice: Client,
    bob: Client,
    administrator: Client,
) -> None:
    assert "There is none yet" in (await browser.get("/dev/mail")).text
    event = await make_event(alice, administrator, title="<script>alert(1)</script>")
    section = await make_section(alice, event)
    await list_event(administrator, event)
    await db.execute("DELETE FROM mails")
    await place(bob, event, section)
    async with postman(settings) as office:
        assert await office.make_round() == 1
    [file] = folder.iterdir()
    assert (file.suffix, oct(file.stat().st_mode)[-3:], oct(folder.stat().st_mode)[-3:]) == (".eml", "600", "700")

    listed = await browser.get("/dev/mail")
    assert f'href="/dev/mail/{file.stem}"' in listed.text
    assert bob.email in listed.text
    shown = await browser.get(f"/dev/mail/{file.stem}")
    assert f'<iframe src="/dev/mail/{file.stem}/html" sandbox ' in shown.text
    assert "tickets.pdf" in shown.text
    for page in (listed, shown):
        assert "&lt;script&gt;" in page.text
        assert "<script>" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
    html = await browser.get(f"/dev/mail/{file.stem}/html")
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert "allow-" not in html.headers["content-security-policy"]
    assert "Hello Bob" in html.text.replace("<bdi>", "")
    pdf = await browser.get(f"/dev/mail/{file.stem}/attachments/0")
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-disposition"] == 'attachment; filename="tickets.pdf"'
    assert (await browser.get(f"/dev/mail/{file.stem}/source")).content == file.read_bytes()
    for gone in ("attachments/9", "nothing"):
        assert (await browser.get(f"/dev/mail/{file.stem}/{gone}")).status_code == 404


@pytest.mark.parametrize("name", ["..%2Fsecret", "%2e%2e", "secret", "a" * 200, "0000.eml", "%00"])
async def test_nothing_but_the_mail_is_shown(browser: httpx.AsyncClient, folder: Path, name: str) -> None:
    (folder.parent / "secret.eml").write_text("Subject: the secret\n\n")
    for page in ("", "/html", "/source", "/attachments/0"):
        assert (await browser.get(f"/dev/mail/{name}{page}")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "shop.example"},
        {"Host": "localhost.shop.example"},
        {"Host": "127.0.0.1.shop.example"},
        {"Host": ""},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "[localhost"},
    ],
)
async def test_from_elsewhere_there_is_no_such_page(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await browser.get("/dev/mail", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "peer", ["203.0.113.9", "10.0.0.1", "192.168.1.2", "2001:db8::1", "::ffff:10.0.0.1", "", "unix:"]
)
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]"])
async def test_a_peer_from_elsewhere_may_call_it_what_it_likes(app: Any, peer: str, host: str) -> None:
    transport = httpx.ASGITransport(app=app, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as there:
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
            assert (await there.get("/dev/mail", headers={"Host": host, **headers})).status_code == 404


@pytest.mark.parametrize("proxy", ["10.0.0.1", "127.0.0.1"])
async def test_a_trusted_proxy_makes_nobody_local(settings: Settings, proxy: str) -> None:
    app = build_app(dataclasses.replace(settings, trusted_proxies=proxy))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=(proxy, 1)), base_url=HERE) as behind:
        for client in ("127.0.0.1", "203.0.113.9"):
            assert (await behind.get("/dev/mail", headers={"X-Forwarded-For": client})).status_code == 404


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_whoever_is_here_sees_it(app: Any, peer: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=(peer, 1)), base_url=HERE) as here:
        assert (await here.get("/dev/mail")).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
async def test_here_it_has_many_names(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/dev/mail", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"dev_pages": "off"},
        {"mail": "smtp", "mail_host": "mail.example", "mail_from": "tickets@shop.example"},
        {"mail": "none"},
        {"mail_folder": ""},
    ],
)
async def test_it_is_there_only_where_it_is_wanted(settings: Settings, changed: dict[str, str]) -> None:
    values = {"database_url": settings.database_url, "secret": SECRET, "dev_pages": "on", "mail_folder": "mail"}
    app = build_app(Settings(**values | changed))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE) as browser:
        answer = await browser.get("/dev/mail")
    assert answer.status_code == 404
    assert answer.json() == {"message": "The requested endpoint /dev/mail does not exist on this server."}


async def test_the_same_letter_again_is_the_same_file(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Once"
    transport = Folder(tmp_path / "mail")
    for _time in range(2):
        await transport.send(Parcel.pack("0001-abc", "a@example.com", "b@example.com", message))
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["0001-abc.eml"]


async def test_a_folder_that_cannot_be_written_loses_nothing(
    settings: Settings, db: asyncpg.Connection, alice: Client, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Away):
        await Folder(tmp_path / "file" / "mail").send(Parcel("1", "a@b.c", "d@e.f", b""))
    await db.execute("DELETE FROM mails")
    await post(db, [Letter("welcome", account=alice.id)])
    broken = Settings(database_url=settings.database_url, secret=SECRET, mail_folder=str(tmp_path / "file" / "mail"))
    async with postman(broken) as office:
        assert await office.make_round() == 0
    assert await db.fetchval("SELECT status FROM mails") == "Waiting"


@pytest.mark.parametrize(
    ("environment", "transport"),
    [
        ({}, "none"),
        ({"TICKETING_MAIL_FOLDER": "mail"}, "folder"),
        ({"TICKETING_MAIL": "none", "TICKETING_MAIL_FOLDER": "mail"}, "none"),
        ({"TICKETING_MAIL_HOST": "mail.example", "TICKETING_MAIL_FROM": "Shop <a@b.example>"}, "smtp"),
        ({"TICKETING_MAIL": "folder", "TICKETING_MAIL_HOST": "x", "TICKETING_MAIL_FOLDER": "mail"}, "folder"),
    ],
)
def test_how_mail_leaves_is_made_out(environment: dict[str, str], transport: str) -> None:
    assert read_settings(environment).mail_transport == transport


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"TICKETING_MAIL": "pigeon"}, "TICKETING_MAIL is none of"),
        ({"TICKETING_MAIL": "smtp"}, "needs TICKETING_MAIL_HOST and TICKETING_MAIL_FROM"),
        ({"TICKETING_MAIL_HOST": "mail.example"}, "needs TICKETING_MAIL_HOST and TICKETING_MAIL_FROM"),
        ({"TICKETING_MAIL_FROM": "nobody"}, "TICKETING_MAIL_FROM is no e-mail address"),
        ({"TICKETING_MAIL_FROM": "a@b.c\nBcc: x@y.z"}, "TICKETING_MAIL_FROM is no e-mail address"),
        ({"TICKETING_MAIL_SECURITY": "maybe"}, "TICKETING_MAIL_SECURITY is none of"),
        ({"TICKETING_DEV_PAGES": "yes"}, "TICKETING_DEV_PAGES is neither"),
        (
            {
                "TICKETING_MAIL_HOST": "mail.example",
                "TICKETING_MAIL_FROM": "a@b.example",
                "TICKETING_MAIL_SECURITY": "none",
                "TICKETING_MAIL_PASSWORD": "secret",
            },
            "would travel in the clear",
        ),
    ],
)
def test_mail_settings_that_cannot_be_used_are_said(environment: dict[str, str], fault: str) -> None:
    with pytest.raises(BadSetting, match=fault):
        read_settings(environment)
