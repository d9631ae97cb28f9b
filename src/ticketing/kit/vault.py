"""What the server's one secret is used for: codes found and shown again, keys derived, bodies compared.

Each use has a key of its own, derived from the secret, so that none weakens another.
"""

import hashlib
import hmac
import os
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


def make_secret() -> str:
    """A new secret of a server."""
    return secrets.token_hex(32)


def read_secret(path: Path) -> str:
    """The secret that the file keeps; empty when there is none."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def write_secret(path: Path, secret: str) -> None:
    """Keep a secret in a file (mode 0600): whole, or what was there before."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with fresh.open("w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
