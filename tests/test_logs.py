"""What is logged when something breaks: where, and never with which values."""

import asyncio
import sys

CRASH = """
import structlog
from ticketing.kit.logs import configure_logs

configure_logs({form!r})

def take(body):
    number = body["number"]
    raise ValueError("no")

try:
    take({{"number": "4111" + "1111" * 3}})
except ValueError:
    structlog.get_logger().exception("request.crashed")
"""


async def run(form: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASH.format(form=form), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return said.decode()


async def test_a_crash_shows_its_place_but_no_value_of_a_variable() -> None:
    for form in ("pretty", "json"):
        said = await run(form)
        assert "request.crashed" in said
        assert "in take" in said
        assert "4111" + "1111" * 3 not in said
