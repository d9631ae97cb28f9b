"""`ticketing ticket-keys`: what tickets are signed with."""

from pathlib import Path
from typing import Annotated

import typer

from .database import desk, run
from .options import DataDir
from .terminal import progress, say

app = typer.Typer(help="List and rotate the keys that tickets are signed with.", no_args_is_help=True)


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """List the keys, the newest first: the one that signs, those that verify, those that are no longer trusted."""
    run(_list(data_dir))


async def _list(data_dir: Path | None) -> None:
    from ticketing.tickets import keys

    async with desk(data_dir, existing=True) as one:
        known = await keys.list_keys(one.db)
    for key in known:
        say(f"{key.id}  {key.state:<10}  {key.made} UTC")
    if not known:
        progress("There is no key yet: the first ticket that is printed makes one.")


@app.command()
def rotate(
    leaked: Annotated[
        bool, typer.Option("--leaked", help="The key got out: no QR code signed with it opens a gate any more.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Sign with a new key from the next ticket on. Tickets signed before stay good, unless the key leaked."""
    run(_rotate(leaked, data_dir))


async def _rotate(leaked: bool, data_dir: Path | None) -> None:
    from ticketing.history import recording as history
    from ticketing.tickets import keys

    async with desk(data_dir, existing=True) as one:
        retired = await keys.rotate_key(one.db, leaked=leaked)
        if retired:
            action = "ticket_key.distrusted" if leaked else "ticket_key.retired"
            await history.record(one.db, one.new_id(), None, action, f"/ticket-keys/{retired}")
    if not retired:
        progress("There was no key yet.")
    elif leaked:
        say(f"{retired} is no longer trusted: holders need new prints, gates that work offline the new keys.")
    else:
        say(f"{retired} signs no more tickets, and still verifies those it signed.")
