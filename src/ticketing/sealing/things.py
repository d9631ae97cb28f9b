"""Everything that stands sealed in the database, and the mailed codes, which are only compared."""

from collections.abc import Sequence

from ticketing.kit.sealed import Sealed
from ticketing.letters import posting
from ticketing.payments.providers import sealing as payments
from ticketing.sessions import gate_keys
from ticketing.tickets import keys
from ticketing.web import idempotency

SEALED: Sequence[Sealed] = (
    keys.SEALED,
    gate_keys.SEALED,
    posting.SEALED,
    payments.SEALED,
    idempotency.SEALED,
)

CODES = ("codes", "sign_ins")  # the tables of mailed codes, kept as keyed hashes
OPEN = "completed_at IS NULL AND expires_at > clock() AND code_hmac IS NOT NULL"
OPEN_CODES = " UNION ALL ".join(f"SELECT expires_at FROM {table} WHERE {OPEN}" for table in CODES)
