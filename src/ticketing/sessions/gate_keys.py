"""Gate tokens: the code that staff type, and the API key it stands for.

The code is kept encrypted (a host may read it again) and found by its HMAC; the key is random, kept encrypted too, and
known by its hash. Neither can be had from the database alone. A token that is renewed keeps its id; code and key are
others from then on.
"""

import itertools
import re
import secrets
import string
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from ticketing.accounts.gates import GateCodes
from ticketing.kit.database import Connection, Row
from ticketing.kit.sealed import Sealed, Values
from ticketing.kit.vault import Vault, hash_key
from ticketing.web.callers import announce

from .actions import new_key

CODE_LENGTH = 8
_ALPHABET = "".join(sorted(set(string.digits + string.ascii_uppercase) - set("0O1I")))
_ALIKE = {letter: group for group in ("O0", "LI1") for letter in group}
RENEWED_AT_A_TIME = 500  # others have their turn in between
MOST_READINGS = 81  # of one typed code; beyond it only itself, and as codes are made now
_CODE = re.compile(rf"[0-9A-Z]{{{CODE_LENGTH}}}")
_CODE_PURPOSE = "gate token code"
_KEY_PURPOSE = "gate key"
_DERIVED_PURPOSE = "gate token key"


async def issue_token(db: Connection, vault: Vault, new_id: int, event_id: int, *, is_global: bool) -> int:
    """Write a token of the event, whose id is `new_id`, and return that id.

    The global token opens every section, later ones too; the sections of another are the caller's to write.
    """
    key = new_key()
    while True:
        [(digest, code)] = (await _free_codes(db, vault, 1)).items()
        written = await db.fetchval(
            "INSERT INTO tokens (id, event_id, code_encrypted, code_hmac, key_encrypted, key_hash, global, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, clock()) ON CONFLICT (code_hmac) DO NOTHING RETURNING id",
            new_id,
            event_id,
            vault.encrypt(_CODE_PURPOSE, code),
            digest,
            vault.encrypt(_KEY_PURPOSE, key),
            hash_key(key),
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
        code_digests(vault, code)[0],
    )


_RENEW = """
UPDATE tokens SET code_encrypted = fresh.code_encrypted, code_hmac = fresh.code_hmac,
       key_encrypted = fresh.key_encrypted, key_hash = fresh.key_hash
  FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
       AS fresh (id, code_encrypted, code_hmac, key_encrypted, key_hash)
 WHERE tokens.id = fresh.id"""

# A cancelled event's codes open nothing; those of one that is over still do.
_TOKENS_OF = """
SELECT token.id FROM tokens token JOIN events event ON event.id = token.event_id
 WHERE event.host_id = ANY($1::bigint[]) AND event.removed_at IS NULL AND event.status <> 'Cancelled'
   AND token.removed_at IS NULL AND token.id > $2
 ORDER BY token.id LIMIT $3 FOR UPDATE OF token"""


async def renew_tokens(db: Connection, vault: Vault, tokens: Sequence[Row]) -> None:
    """Give tokens (their ids, locked by the caller) other codes and keys; the old ones end at once."""
    codes = await _free_codes(db, vault, len(tokens))
    keys = [new_key() for _ in tokens]
    await db.execute(
        _RENEW,
        [token["id"] for token in tokens],
        [vault.encrypt(_CODE_PURPOSE, code) for code in codes.values()],
        list(codes),
        [vault.encrypt(_KEY_PURPOSE, key) for key in keys],
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
    """So many codes that no token has, by the digests they will be found by."""
    codes: dict[bytes, str] = {}
    while len(codes) < count:
        drawn = {code: code_digests(vault, code) for code in (new_code() for _ in range(count - len(codes)))}
        rows = await db.fetch(
            "SELECT code_hmac FROM tokens WHERE code_hmac = ANY($1::bytea[])", list(itertools.chain(*drawn.values()))
        )
        taken = {row["code_hmac"] for row in rows}
        codes |= {digests[0]: code for code, digests in drawn.items() if taken.isdisjoint(digests)}
    return codes


def read_key(vault: Vault, token: Row) -> str:
    """The API key of a token (`id`, `generation`, `key_encrypted`, `key_hash`), 32 lower-case hex characters.

    Raises InvalidTag when no secret of the vault opens it.
    """
    if token["key_encrypted"] is not None:
        return vault.decrypt(_KEY_PURPOSE, token["key_encrypted"])
    # Of an earlier version, which derived it and stored nothing.
    name = f"{token['id']}:{token['generation']}" if token["generation"] else str(token["id"])
    for digest in vault.digests(_DERIVED_PURPOSE, name.encode()):
        if hash_key(key := digest.hex()[:32]) == token["key_hash"]:
            return key
    raise InvalidTag


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


def code_digests(vault: Vault, code: str) -> list[bytes]:
    """What a code may be found by; new ones by the first."""
    return vault.digests(_CODE_PURPOSE, code.encode())


def _seal_anew(vault: Vault, token: Row) -> Values | None:
    code = vault.encrypt_anew(_CODE_PURPOSE, token["code_encrypted"])
    if token["key_encrypted"] is None:
        key: bytes | None = vault.encrypt(_KEY_PURPOSE, read_key(vault, token))
    else:
        key = vault.encrypt_anew(_KEY_PURPOSE, token["key_encrypted"])
    if code is None and key is None:
        return None
    digest = code_digests(vault, read_code(vault, token["code_encrypted"]))[0]
    return code or token["code_encrypted"], digest, key or token["key_encrypted"]


SEALED = Sealed(
    name="gate codes",
    table="tokens",
    key={"id": "bigint"},
    columns={"code_encrypted": "bytea", "code_hmac": "bytea", "key_encrypted": "bytea"},
    beside=("generation", "key_hash"),
    live="removed_at IS NULL",
    thing="format('/events/%s/tokens/%s', event_id, id)",
    loss="are renewed: scanners are signed out until their staff type the new ones, which the hosts can read",
    anew=_seal_anew,
    lose=renew_tokens,
)
