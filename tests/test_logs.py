"""What is logged when something breaks: where, and never with which values."""

import asyncio
import json
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


async def run(program: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    return said.decode()


async def test_a_crash_shows_its_place_but_no_value_of_a_variable() -> None:
    for form in ("pretty", "json"):
        said = await run(CRASH.format(form=form))
        assert "request.crashed" in said
        assert "in take" in said
        assert "4111" + "1111" * 3 not in said


LIBRARY = """
import logging
from ticketing.kit.logs import configure_logs

configure_logs("json")
try:
    raise ConnectionError("refused")
except ConnectionError:
    logging.getLogger("asyncpg.pool").{level}("There are %d left", 3, exc_info=True)
logging.getLogger("asyncpg.pool").info("nothing")
"""


async def test_what_libraries_say_is_a_line_like_ours() -> None:
    for level in ("warning", "error"):
        [line] = (await run(LIBRARY.format(level=level))).splitlines()
        said = json.loads(line)
        assert (said["level"], said["logger"], said["said"]) == (level, "asyncpg.pool", "There are 3 left")
        assert ("Traceback" in line) is (level == "error")
