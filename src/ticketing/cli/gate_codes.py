"""Gate codes as the commands renew them: with the server's secret, which they do without as long as they can."""

from pathlib import Path

from ticketing.accounts.gates import GateCodes
from ticketing.embedded import default_data_dir
from ticketing.kit.database import Connection
from ticketing.sealing import open_vault, take_up
from ticketing.serving.completing import complete
from ticketing.sessions.gate_keys import renew_tokens_known_to
from ticketing.settings import read_settings


def gate_codes(data_dir: Path | None) -> GateCodes:
    """What is passed to where accounts are closed; renewing raises UnknownSecret without the one in use."""
    folder = data_dir or default_data_dir()

    async def renew(db: Connection, account_id: int) -> None:
        if not await db.fetchval("SELECT true FROM host_administrators WHERE account_id = $1 LIMIT 1", account_id):
            return
        vault = open_vault(complete(read_settings(), "", folder))
        await take_up(db, vault)
        await renew_tokens_known_to(db, vault, account_id)

    return GateCodes(renew)
