"""Which provider takes the money: the one of the setting; and who is asked about what another one took."""

from ticketing.kit.database import Database
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


def build_providers(settings: Settings, database: Database) -> Providers:
    """The providers that the settings name. The sandbox answers for what it took in any case."""
    sandbox = Sandbox(database)
    return Providers(sandbox)
