"""Printing in parts: what was printed is kept, who comes again is served from there, and nobody waits for a crowd."""

import asyncio
import io
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from pypdf import PdfReader

from conftest import Client
from makers import list_event, make_event, make_section, place
from paper import pages, read_code, sheet, texts
from ticketing.app import build_app
from ticketing.kit.child import Child
from ticketing.kit.overload import Overloaded
from ticketing.kit.turns import PASSED_OVER_AT_MOST
from ticketing.settings import Settings
from ticketing.tickets import press as press_rules
from ticketing.tickets.kept import Kept
from ticketing.tickets.press import Press, PrintingFailed, TookTooLong
from ticketing.tickets.sheets import BindPdf, Order, Part, PrintPart, PrintPdf, PrintPng, Question, Sheet

PARTS = LARGE = 8  # where each page is a part
MakePress = Callable[..., Press]
HURRY_SECONDS = 0.3  # in which nobody prints so many


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[Any]:
    """The application, whose press has little time for each request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ticketing.app.Press", lambda: Press(seconds=HURRY_SECONDS))
        edge = build_app(settings)
    async with edge.app.router.lifespan_context(edge.app):
        yield edge


@pytest.fixture
def make_press() -> Iterator[MakePress]:
    """Makes presses, which take their time and end with the test."""
    made: list[Press] = []

    def make(**members: float) -> Press:
        made.append(Press(**{"seconds": 600.0, "part_seconds": 60.0} | members))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for press in made:
        press.close()


class Asked(list[Question]):
    """What children were asked for, in order."""

    def count_of(self, kind: type[Question]) -> int:
        """How many such questions."""
        return sum(isinstance(one, kind) for one in self)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Fills with the questions that are put to children, and answered."""
    asked, ask = Asked(), Child.ask

    def listen(child: Child, question: bytes) -> bytes:
        answer = ask(child, question)
        asked.append(msgspec.msgpack.decode(question, type=Question))
        return answer

    monkeypatch.setattr(Child, "ask", listen)
    return asked


def order(name: str, tickets: int = LARGE) -> PrintPdf:
    """An order of so many tickets."""
    return PrintPdf([ticket(name, number) for number in range(tickets)])


def ticket(name: str, number: int, **members: str) -> Sheet:
    """A page whose code says whose it is."""
    return sheet(serial=f"{name}-{number:012}", payload=f"TK1.{name}.{number}", **members)


def codes(printed: bytes) -> list[str]:
    """What the codes of the pages say."""
    return [read_code(page) for page in pages(printed)]


def serials(printed: bytes) -> list[str]:
    """Which tickets the pages are."""
    return ["".join(*re.findall(r"SERIAL (\w+-) (\w+)", text)) for text in texts(printed)]


def fonts(printed: bytes) -> int:
    """How many fonts the file brings along."""
    reader = PdfReader(io.BytesIO(printed))
    faces: list[Any] = [face for page in reader.pages for face in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    files = [face["/DescendantFonts"][0]["/FontDescriptor"].raw_get("/FontFile2") for face in faces]
    return len({file.idnum for file in files})


async def insist(press: Press, wanted: Order) -> tuple[bytes, int]:
    """The file, and how often one had to ask for it."""
    for tries in range(1, 3000):
        try:
            return await press.print(wanted), tries
        except Overloaded:
            continue
    raise AssertionError("it is never printed")


async def test_who_comes_again_is_served_from_where_it_stopped(asked: Asked, make_press: MakePress) -> None:
    press = make_press(seconds=HURRY_SECONDS, part_seconds=0)
    printed, tries = await insist(press, order("LARGE1"))
    assert tries > 1
    assert serials(printed) == [f"LARGE1-{number:012}" for number in range(LARGE)]
    assert (asked.count_of(PrintPart), asked.count_of(BindPdf)) == (PARTS, 1), "something was printed twice"
    assert await press.print(order("LARGE1")) == printed
    assert len(asked) == PARTS + 1


async def test_a_press_that_gets_no_processor_loses_nothing(asked: Asked, make_press: MakePress) -> None:
    press = make_press(seconds=1, part_seconds=0)
    await insist(press, PrintPng("TK1.A"))
    (child,) = _children(press)
    child.suspend()
    with pytest.raises(Overloaded) as raised:
        await press.print(order("LARGE2"))
    assert not isinstance(raised.value, PrintingFailed)
    child.resume()
    printed, _ = await insist(press, order("LARGE2"))
    assert len(serials(printed)) == LARGE
    assert _children(press) == {child}
    assert (asked.count_of(PrintPart), asked.count_of(BindPdf)) == (PARTS, 1)


async def test_a_large_order_comes_by_and_by(alice: Client, bob: Client, administrator: Client) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, capacity=50)
    await list_event(administrator, event)
    bought = await place(bob, event, section, 50)
    answers = []
    while not answers or answers[-1].status != 200:
        answers.append(await bob.get(f"{bought['self']}/tickets.pdf"))
        assert len(answers) < 3000
        if answers[-1].status != 200:
            assert (answers[-1].status, answers[-1].headers["retry-after"]) == (503, "2")
            assert answers[-1].error == "The server is busy. Please try again in 2 seconds."
    assert len(answers) > 1
    assert len(set(serials(answers[-1].body))) == 50


async def test_one_page_does_not_wait_for_eight_large_orders(asked: Asked, make_press: MakePress) -> None:
    press = make_press()
    large = [asyncio.create_task(press.print(order(f"CROWD{n}", 50), ("192.0.2.1", n))) for n in range(8)]
    while len(asked) < 2:
        await asyncio.sleep(0.01)
    before = len(asked)
    assert codes(await press.print(order("SMALL1", 1), ("192.0.2.2", "newcomer"))) == ["TK1.SMALL1.0"]
    waited = asked[before:]
    assert len(waited) <= 2, "more than the part under way came first"
    assert isinstance(waited[-1], PrintPart)
    assert waited[-1].sheets[0].serial.startswith("SMALL1")
    assert not any(one.done() for one in large)
    for one in large:
        one.cancel()
    await asyncio.gather(*large, return_exceptions=True)


async def test_whoever_changes_a_ticket_gets_another_page(make_press: MakePress) -> None:
    press = make_press(part_seconds=0)
    sheets = order("SHARED", 3).sheets
    before = codes(await press.print(PrintPdf(sheets)))
    sheets[1] = msgspec.structs.replace(sheets[1], payload="TK1.HANDED.ON")
    after = codes(await press.print(PrintPdf(sheets)))
    assert after == [before[0], "TK1.HANDED.ON", before[2]]


async def test_what_is_kept_is_of_exactly_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, make_press: MakePress
) -> None:
    def echo(_child: Child, question: bytes) -> bytes:
        wanted = msgspec.msgpack.decode(question, type=Question)
        if isinstance(wanted, PrintPart):
            return msgspec.msgpack.encode(Part(len(wanted.sheets), question))
        return question

    monkeypatch.setattr(Child, "ask", echo)
    press = make_press()
    one = sheet()
    others = [sheet(**{member.name: "another"}) for member in msgspec.structs.fields(Sheet)]
    wanted = [PrintPdf([one]), PrintPdf([one, one]), PrintPng(one.payload), *(PrintPdf([other]) for other in others)]
    for _ in range(2):
        answers = [await press.print(order) for order in wanted]
        said = [msgspec.msgpack.decode(answer, type=Question) for answer in answers]
        assert [one.sheets if isinstance(one, PrintPart) else one for one in said] == [
            one.sheets if isinstance(one, PrintPdf) else one for one in wanted
        ]


async def test_what_is_kept_is_bounded_in_bytes_and_in_time() -> None:
    kept = Kept(most_bytes=1000, seconds=0.2)
    for number in range(50):
        kept.keep(b"%d" % number, bytes(300))
        assert kept.size <= 1000
    assert [number for number in range(50) if kept.find(b"%d" % number)] == [47, 48, 49]
    kept.keep(b"49", bytes(500))
    assert (kept.size, kept.find(b"49")) == (800, bytes(500))
    kept.keep(b"too large", bytes(1001))
    assert (kept.size, kept.find(b"too large")) == (0, None)
    kept.keep(b"last", bytes(10))
    async with asyncio.timeout(30):
        while kept.size:
            await asyncio.sleep(0.05)
    assert kept.find(b"last") is None


async def test_parts_are_bound_into_one_file_with_what_each_code_is_called(make_press: MakePress) -> None:
    press = make_press(part_seconds=0)
    one, several = await press.print(order("BOUND1", 1)), await press.print(order("BOUND1", 4))
    mixed = PrintPdf([*order("BOUND1", 2).sheets, ticket("BOUND2", 0, title="演唱会", holder="مهرجان")])
    other = await press.print(mixed)
    for file, title, named in [
        (one, "Dawn of the Seven Premier", [f"BOUND1-{number:012}" for number in range(1)]),
        (several, "Dawn of the Seven Premier", [f"BOUND1-{number:012}" for number in range(4)]),
        (other, "Tickets", [*(f"BOUND1-{number:012}" for number in range(2)), f"BOUND2-{0:012}"]),
    ]:
        reader = PdfReader(io.BytesIO(file))
        root: Any = reader.root_object
        assert reader.metadata is not None
        assert (reader.metadata.title, reader.metadata.creator, root["/Lang"]) == (title, "TickeTing", "en")
        numbered = root["/StructTreeRoot"]["/ParentTree"]["/Nums"]
        of_page = dict(zip(numbered[::2], numbered[1::2], strict=True))
        said = []
        for page in reader.pages:
            (figure,) = of_page[page["/StructParents"]].get_object()
            assert figure["/Pg"].indirect_reference == page.indirect_reference
            said.append(figure["/Alt"])
        assert said == named
    assert "演唱会" in texts(other)[2]
    assert fonts(several) == fonts(one) == 2, "the regular and the bold one, once"


async def test_a_child_that_died_is_replaced_and_none_is_left(make_press: MakePress) -> None:
    press = make_press()
    first = await press.print(PrintPng("TK1.A"))
    (child,) = _children(press)
    child.kill()
    await asyncio.to_thread(psutil.wait_procs, [child], 5)
    assert await press.print(PrintPng("TK1.B")) != first
    (successor,) = _children(press)
    assert successor != child
    press.close()
    assert not successor.is_running()
    with pytest.raises(Overloaded):
        await press.print(PrintPng("TK1.C"))


async def test_the_child_ends_with_the_process_that_started_it() -> None:
    """However it ends: this one is killed."""
    script = """
import asyncio, os, signal
from ticketing.tickets.press import Press
from ticketing.tickets.sheets import PrintPng
press = Press()
asyncio.run(press.print(PrintPng("TK1.A")))
print(press._child._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(ended.stdout)) and psutil.Process(int(ended.stdout)).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_what_cannot_be_printed_is_told_and_the_next_is_printed(make_press: MakePress) -> None:
    press = make_press()
    with pytest.raises(PrintingFailed, match="DataOverflowError"):
        await press.print(PrintPng("x" * 10_000))
    assert (await press.print(PrintPng("TK1.A"))).startswith(b"\x89PNG")


async def test_a_part_has_so_much_of_a_processor(make_press: MakePress) -> None:
    press = make_press(limit_seconds=0.01)  # what loads the fonts takes more
    with pytest.raises(TookTooLong):
        await press.print(order("LARGE3", 1))


def test_the_docs_tell_what_the_press_does() -> None:
    told = " ".join((Path(__file__).parent.parent / "docs" / "tickets.md").read_text().split())
    for fact in (
        f"parts of at most {press_rules.PAGES_OF_A_PART} pages, or {press_rules.PART_SECONDS} seconds of a processor",
        f"1 of {PASSED_OVER_AT_MOST + 1} turns",
        f"for {press_rules.REQUEST_SECONDS:.0f} seconds",
        f"for {press_rules.KEPT_SECONDS / 60:.0f} minutes, {press_rules.KEPT_BYTES / 2**20:.0f} MiB",
        f"{press_rules.SHORT_PRINTS} short prints and {press_rules.LONG_PRINTS} long ones",
    ):
        assert fact in told, fact


def _children(press: Press) -> set[psutil.Process]:
    """The press's process, if it has one that lives."""
    process = press._child._process
    return {psutil.Process(process.pid)} if process and process.poll() is None else set()
