"""Gate tokens: the code that staff type, and the API key it stands for.

The code is kept encrypted (a host may read it again) and found by its HMAC; the key is derived from the token's id
by the server's secret and is nowhere stored but as a hash. Neither can be had from the database alone.
"""

import itertools
import re
import secrets
import string

from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault, hash_key

CODE_LENGTH = 8
_ALPHABET = "".join(sorted(set(string.digits + string.ascii_uppercase) - set("0O1I")))
_ALIKE = {letter: group for group in ("O0", "LI1") for letter in group}
MOST_READINGS = 81  # of one typed code; beyond it only itself, and as codes are made now
_CODE = re.compile(rf"[0-9A-Z]{{{CODE_LENGTH}}}")
_CODE_PURPOSE = "gate token code"
_KEY_PURPOSE = "gate token key"


async def issue_token(db: Connection, vault: Vault, new_id: int, event_id: int, *, is_global: bool) -> int:
    """Write a token of the event, whose id is `new_id`, and return that id.

    The global token opens every section, later ones too; the sections of another are the caller's to write.
    """
    while True:
        code = new_code()
        written = await db.fetchval(
            "INSERT INTO tokens (id, event_id, code_encrypted, code_hmac, key_hash, global, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, clock()) ON CONFLICT (code_hmac) DO NOTHING RETURNING id",
            new_id,
            event_id,
            vault.encrypt(_CODE_PURPOSE, code),
            code_digest(vault, code),
            hash_key(gate_key(vault, new_id)),
            is_global,
        )
        if written is not None:
            return int(written)


def new_code() -> str:
    """A code that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH))


async def change_code(db: Connection, vault: Vault, token_id: int, code: str) -> None:
    """Give a token a code that was agreed on; its key stays."""
    await db.execute(
        "UPDATE tokens SET code_encrypted = $2, code_hmac = $3 WHERE id = $1",
        token_id,
        vault.encrypt(_CODE_PURPOSE, code),
        code_digest(vault, code),
    )


def gate_key(vault: Vault, token_id: int) -> str:
    """The API key of the token, 32 lower-case hex characters."""
    return vault.derive_key(_KEY_PURPOSE, str(token_id))


def read_code(vault: Vault, sealed: bytes) -> str:
    """The code again, as it was issued."""
    return vault.decrypt(_CODE_PURPOSE, sealed)


def clean_code(typed: str) -> str | None:
    """The code that was typed, in any case, spaces and hyphens anywhere; None when it cannot be one."""
    code = re.sub(r"[ -]", "", typed).upper()
    return code if typed.isascii() and _CODE.fullmatch(code) else None


def readings(code: str) -> list[str]:
    """What a code may have been read from: itself, then with L for 1 and I, then every letter that looks alike."""
    groups = [_ALIKE.get(letter, letter) for letter in code]
    likely = [code, code.replace("1", "L").replace("I", "L")]
    count = 1
    for group in groups:
        count *= len(group)
    every = ("".join(letters) for letters in itertools.product(*groups)) if count <= MOST_READINGS else ()
    return list(dict.fromkeys([*likely, *every]))


def code_digest(vault: Vault, code: str) -> bytes:
    """What a code is found by."""
    return vault.digest(_CODE_PURPOSE, code.encode())
