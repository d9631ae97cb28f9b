"""Pure rules of transfers."""

from ticketing.accounts.schemas import ShortAccount


def claimant(account: ShortAccount) -> str:
    """Who claimed, as a claim says it: `First Last (username)`, without the names that are not known."""
    return " ".join(filter(None, (account.first_name, account.last_name, f"({account.username})")))
