"""What the server's one secret is used for: codes found and shown again, keys derived, bodies compared.

Each use has a key of its own, derived from the secret, so that none weakens another.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Vault:
    """The secret, never shown."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def digest(self, purpose: str, value: bytes) -> bytes:
        """A keyed hash of the value: 32 bytes, different for each purpose."""
        return hmac.digest(self._key(purpose), value, "sha256")

    def derive_key(self, purpose: str, name: str) -> str:
        """An API key (32 hex characters) that only the secret can make again."""
        return self.digest(purpose, name.encode()).hex()[:32]

    def encrypt(self, purpose: str, text: str) -> bytes:
        """The text, readable by `decrypt` of the same purpose alone."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._key(purpose)).encrypt(nonce, text.encode(), None)

    def decrypt(self, purpose: str, sealed: bytes) -> str:
        """The text again. Raises cryptography's InvalidTag when the secret or the purpose is another."""
        return AESGCM(self._key(purpose)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()

    def _key(self, purpose: str) -> bytes:
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def hash_key(key: str) -> bytes:
    """How API keys are stored: they are 128 random bits, so a plain hash is enough."""
    return hashlib.sha256(key.encode()).digest()


def ensure_secret(path: Path) -> str:
    """The secret kept in the file, made on first use (mode 0600)."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_hex(32) + "\n")
    fresh.replace(path)
    return path.read_text().strip()
