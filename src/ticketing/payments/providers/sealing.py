"""What a customer needs at his bank is for him alone: the database, and whoever has a copy of it, sees it sealed."""

import base64

import msgspec
from cryptography.exceptions import InvalidTag

from ticketing.kit.vault import Vault

from . import Action

_PURPOSE = "payment action"
_SEALED = "sealed:"


def seal(vault: Vault, action: Action) -> Action:
    """The action as it is written down."""
    sealed = base64.b64encode(vault.encrypt(_PURPOSE, action.client_secret)).decode()
    return msgspec.structs.replace(action, client_secret=_SEALED + sealed)


def unseal(vault: Vault, action: Action | None) -> Action | None:
    """The action as its customer sees it; without its secret when the server's was changed meanwhile."""
    if action is None or not action.client_secret.startswith(_SEALED):
        return action
    try:
        secret = vault.decrypt(_PURPOSE, base64.b64decode(action.client_secret.removeprefix(_SEALED)))
    except InvalidTag:
        secret = ""
    return msgspec.structs.replace(action, client_secret=secret)
