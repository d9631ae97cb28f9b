"""Which provider takes the money: the one of the setting; and who is asked about what another one took."""

from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.settings import Settings

from . import Provider
from .sandbox import Sandbox


class Providers:
    """The payment providers of a process: the current one takes new payments, all answer for their own old ones."""

    def __init__(self, current: Provider, *others: Provider) -> None:
        self.current = current
        self._all = {provider.name: provider for provider in (*others, current)}

    def find(self, name: str) -> Provider | None:
        """The provider of an earlier payment, or None when it is not set up any more."""
        return self._all.get(name)

    async def close(self) -> None:
        """Let go of connections."""
        for provider in self._all.values():
            await provider.close()


def build_providers(settings: Settings, database: Database, vault: Vault) -> Providers:
    """The providers that the settings name. What they took before, the sandbox, and Stripe with a key, answer for.

    Stripe's library takes 27 MB: it is loaded only where there is a key.
    """
    sandbox = Sandbox(database)
    if not settings.stripe_key:
        return Providers(sandbox)
    from .stripe import Stripe

    stripe = Stripe(settings.stripe_key, vault, return_url=settings.stripe_return_url, api=settings.stripe_api)
    return Providers(stripe, sandbox) if settings.payment_provider == stripe.name else Providers(sandbox, stripe)
