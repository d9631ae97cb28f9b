"""Gate tokens: the code that staff type, and the API key it stands for.

The code is kept encrypted (a host may read it again) and found by its HMAC; the key is derived from the token's id and
generation by the server's secret and is nowhere stored but as a hash. Neither can be had from the database alone.
A token that is renewed keeps its id; code and key are others from then on.
"""

import itertools
import re
import secrets
import string
from collections.abc import Sequence

from ticketing.accounts.gates import GateCodes
from ticketing.kit.database import Connection, Row
from ticketing.kit.vault import Vault, hash_key
from ticketing.web.callers import announce

CODE_LENGTH = 8
_ALPHABET = "".join(sorted(set(string.digits + string.ascii_uppercase) - set("0O1I")))
_ALIKE = {letter: group for group in ("O0", "LI1") for letter in group}
RENEWED_AT_A_TIME = 500  # others have their turn in between
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
            hash_key(gate_key(vault, new_id, 0)),
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


_RENEW = """
UPDATE tokens SET generation = fresh.generation, code_encrypted = fresh.code_encrypted, code_hmac = fresh.code_hmac,
       key_hash = fresh.key_hash
  FROM unnest($1::bigint[], $2::int[], $3::bytea[], $4::bytea[], $5::bytea[])
       AS fresh (id, generation, code_encrypted, code_hmac, key_hash)
 WHERE tokens.id = fresh.id"""

# A cancelled event's codes open nothing; those of one that is over still do.
_TOKENS_OF = """
SELECT token.id, token.generation FROM tokens token JOIN events event ON event.id = token.event_id
 WHERE event.host_id = ANY($1::bigint[]) AND event.removed_at IS NULL AND event.status <> 'Cancelled'
   AND token.removed_at IS NULL AND token.id > $2
 ORDER BY token.id LIMIT $3 FOR UPDATE OF token"""


async def renew_tokens(db: Connection, vault: Vault, tokens: Sequence[Row]) -> None:
    """Give tokens (id and generation, locked by the caller) other codes and keys; the old ones end at once."""
    codes = await _free_codes(db, vault, len(tokens))
    generations = [token["generation"] + 1 for token in tokens]
    keys = [gate_key(vault, token["id"], number) for token, number in zip(tokens, generations, strict=True)]
    await db.execute(
        _RENEW,
        [token["id"] for token in tokens],
        generations,
        [vault.encrypt(_CODE_PURPOSE, code) for code in codes.values()],
        list(codes),
        [hash_key(key) for key in keys],
    )
    await announce(db)


async def renew_tokens_of(db: Connection, vault: Vault, hosts: Sequence[int]) -> None:
    """Renew every token of these hosts' events: somebody who could read the codes no longer may."""
    last = 0
    while tokens := await db.fetch(_TOKENS_OF, hosts, last, RENEWED_AT_A_TIME):
        await renew_tokens(db, vault, tokens)
        last = tokens[-1]["id"]


async def renew_tokens_known_to(db: Connection, vault: Vault, account_id: int) -> None:
    """Renew the tokens of all hosts that this account administers, which the caller closes; he holds its lock."""
    # Whoever reads codes as one of their administrators holds his row, and waits here for what follows.
    rows = await db.fetch(
        "SELECT host_id FROM host_administrators WHERE account_id = $1 ORDER BY host_id FOR UPDATE", account_id
    )
    await renew_tokens_of(db, vault, [row["host_id"] for row in rows])


def gate_codes(vault: Vault) -> GateCodes:
    """What the packages below this one may do about gates."""
    return GateCodes(lambda db, account_id: renew_tokens_known_to(db, vault, account_id))


async def _free_codes(db: Connection, vault: Vault, count: int) -> dict[bytes, str]:
    """So many codes that no token has, by their digests."""
    codes: dict[bytes, str] = {}
    while len(codes) < count:
        drawn = {code_digest(vault, code): code for code in (new_code() for _ in range(count - len(codes)))}
        taken = await db.fetch("SELECT code_hmac FROM tokens WHERE code_hmac = ANY($1::bytea[])", list(drawn))
        for row in taken:
            del drawn[row["code_hmac"]]
        codes |= drawn
    return codes


def gate_key(vault: Vault, token_id: int, generation: int) -> str:
    """The API key of the token, 32 lower-case hex characters; another in each generation."""
    return vault.derive_key(_KEY_PURPOSE, f"{token_id}:{generation}" if generation else str(token_id))


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
