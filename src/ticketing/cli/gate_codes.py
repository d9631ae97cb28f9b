"""Gate codes as the commands renew them: with the server's secret, which they do without as long as they can."""

from pathlib import Path

from cryptography.exceptions import InvalidTag

from ticketing.accounts.gates import GateCodes
from ticketing.embedded import default_data_dir
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault
from ticketing.serving import CannotServe
from ticketing.serving.completing import complete
from ticketing.sessions.gate_keys import read_code, renew_tokens_known_to
from ticketing.settings import read_settings


def gate_codes(data_dir: Path | None) -> GateCodes:
    """What is passed to where accounts are closed; renewing raises CannotServe without the server's secret."""
    folder = data_dir or default_data_dir()

    async def renew(db: Connection, account_id: int) -> None:
        if not await db.fetchval("SELECT true FROM host_administrators WHERE account_id = $1 LIMIT 1", account_id):
            return
        vault = Vault(complete(read_settings(), "", folder).secret)
        await _ensure_servers(db, vault, folder)
        await renew_tokens_known_to(db, vault, account_id)

    return GateCodes(renew)


async def _ensure_servers(db: Connection, vault: Vault, folder: Path) -> None:
    """Raise CannotServe for another server's secret: no server could read what is sealed with it."""
    sealed = await db.fetchval("SELECT code_encrypted FROM tokens ORDER BY id DESC LIMIT 1")
    try:
        if sealed:
            read_code(vault, sealed)
    except InvalidTag:
        raise CannotServe(f"The secret in {folder} is not the server's: set TICKETING_SECRET, or --data-dir.") from None
