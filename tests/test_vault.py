"""What the vault does with one secret, and with several."""

import pytest
from cryptography.exceptions import InvalidTag

from ticketing.kit.vault import Vault

OLD, NEW = "the old secret of a server, long enough", "the new secret of a server, long enough"


def test_one_seals_and_all_open() -> None:
    before, after = Vault(OLD), Vault(NEW, OLD)
    by_old = before.encrypt("letter", "123456")
    assert after.decrypt("letter", by_old) == "123456"
    by_new = after.encrypt("letter", "123456")
    assert Vault(NEW).decrypt("letter", by_new) == "123456"
    with pytest.raises(InvalidTag):
        before.decrypt("letter", by_new)
    with pytest.raises(InvalidTag):
        after.decrypt("another purpose", by_old)


def test_which_one_seals_can_be_turned() -> None:
    vault, old, new = Vault(NEW, OLD), Vault(OLD), Vault(NEW)
    assert vault.turn_to(old.fingerprints()[0])
    assert old.decrypt("letter", vault.encrypt("letter", "x")) == "x"
    assert vault.digest("code", b"1") == old.digest("code", b"1")
    assert vault.digests("code", b"1") == [old.digest("code", b"1"), new.digest("code", b"1")]
    assert vault.derive_keys("pages", "visitors") == [
        *old.derive_keys("pages", "visitors"),
        *new.derive_keys("pages", "visitors"),
    ]
    assert vault.turn_to(new.fingerprints()[0])
    assert vault.fingerprints() == [*new.fingerprints(), *old.fingerprints()]
    assert vault.derive_keys("pages", "visitors")[0] == new.derive_keys("pages", "visitors")[0]
    assert not vault.turn_to(Vault("a secret that nobody told it of").fingerprints()[0])
    assert vault.fingerprints()[0] == new.fingerprints()[0]


def test_only_what_another_one_sealed_is_sealed_anew() -> None:
    old, vault = Vault(OLD), Vault(NEW)
    by_old = old.encrypt("letter", "x")
    with pytest.raises(InvalidTag):
        vault.encrypt_anew("letter", by_old)
    vault.learn(OLD)
    by_new = vault.encrypt_anew("letter", by_old)
    assert by_new is not None
    assert vault.encrypt_anew("letter", by_new) is None
    assert vault.alone(vault.fingerprints()[0]).decrypt("letter", by_new) == "x"
    with pytest.raises(InvalidTag):
        old.decrypt("letter", by_new)


def test_a_fingerprint_tells_nothing_else() -> None:
    """Neither the secret nor a key that something is sealed with."""
    vault = Vault(OLD)
    [fingerprint] = vault.fingerprints()
    assert fingerprint not in {vault.salt(purpose) for purpose in ("letter", "gate key", "fingerprint", "calendar")}
    assert OLD.encode() not in fingerprint


def test_the_same_secret_twice_is_one() -> None:
    assert len(Vault(OLD, OLD).fingerprints()) == 1
