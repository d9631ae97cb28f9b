"""What the server's one secret is used for: codes found and shown again, keys sealed, bodies compared.

Each use has a key of its own, derived from the secret, so that none weakens another. While the secret is being changed
there are several: one seals, all of them open.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Vault:
    """The secret, never shown, and the others that open what it did not seal."""

    def __init__(self, secret: str, *others: str) -> None:
        self._secrets: list[bytes] = [one.encode() for one in dict.fromkeys((secret, *others))]  # the first one seals
        self._keys_made: dict[tuple[str, str], list[str]] = {}

    def fingerprints(self) -> list[bytes]:
        """What tells the secrets from others, 32 bytes each; that of the one that seals first."""
        return self.digests("fingerprint", b"")

    def turn_to(self, fingerprint: bytes) -> bool:
        """Seal with the secret of this fingerprint from now on; False when it is not known here."""
        known = self.fingerprints()
        if fingerprint not in known:
            return False
        first = self._secrets[known.index(fingerprint)]
        self._arrange([first, *(one for one in self._secrets if one != first)])
        return True

    def learn(self, secret: str) -> None:
        """Open what was sealed with this one too."""
        if secret.encode() not in self._secrets:
            self._arrange([*self._secrets, secret.encode()])

    def alone(self, fingerprint: bytes) -> Self:
        """A vault of this one secret."""
        return type(self)(self.reveal(fingerprint))

    def reveal(self, fingerprint: bytes) -> str:
        """The secret itself, to be sealed with the one that takes its place."""
        return self._secrets[self.fingerprints().index(fingerprint)].decode()

    def digest(self, purpose: str, value: bytes) -> bytes:
        """A keyed hash of the value: 32 bytes, different for each purpose."""
        return hmac.digest(_key(self._secrets[0], purpose), value, "sha256")

    def digests(self, purpose: str, value: bytes) -> list[bytes]:
        """What the value may have been hashed to, by any of the secrets; `digest` first."""
        return [hmac.digest(_key(secret, purpose), value, "sha256") for secret in self._secrets]

    def salt(self, purpose: str) -> bytes:
        """The key of `digest` for a purpose, 32 bytes, to be kept where digests must outlive the secret."""
        return _key(self._secrets[0], purpose)

    def derive_keys(self, purpose: str, name: str) -> list[str]:
        """The API keys (32 hex characters) that only the secrets can make again; remembered: there are few names."""
        made = self._keys_made.get((purpose, name))
        if made is None:
            made = [digest.hex()[:32] for digest in self.digests(purpose, name.encode())]
            self._keys_made[purpose, name] = made
        return made

    def encrypt(self, purpose: str, text: str) -> bytes:
        """The text, readable by `decrypt` of the same purpose alone."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(_key(self._secrets[0], purpose)).encrypt(nonce, text.encode(), None)

    def decrypt(self, purpose: str, sealed: bytes) -> str:
        """The text again. Raises cryptography's InvalidTag when no secret here sealed it, or for another purpose."""
        return self._open(purpose, sealed)[0]

    def encrypt_anew(self, purpose: str, sealed: bytes) -> bytes | None:
        """The same text, sealed with the secret that seals now; None when it is already. Raises as `decrypt`."""
        text, secret = self._open(purpose, sealed)
        return None if secret == self._secrets[0] else self.encrypt(purpose, text)

    def _open(self, purpose: str, sealed: bytes) -> tuple[str, bytes]:
        """The text, and the secret that opened it."""
        for secret in self._secrets:
            try:
                text = AESGCM(_key(secret, purpose)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
            except InvalidTag:
                continue
            return text.decode(), secret
        raise InvalidTag

    def _arrange(self, all_secrets: list[bytes]) -> None:
        self._secrets, self._keys_made = all_secrets, {}


def _key(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, purpose.encode(), "sha256")


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
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with fresh.open("w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
