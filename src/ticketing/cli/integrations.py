"""`ticketing integrations`: keys for programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .database import desk, run
from .options import DataDir
from .terminal import fail, progress, say

app = typer.Typer(help="Make, list and revoke the keys of programs.", no_args_is_help=True)


class Access(StrEnum):
    """What a key may do."""

    PUBLIC = "public"
    CUSTOMER = "customer"
    SUPPORT = "support"
    HOST = "host"
    ADMINISTRATOR = "administrator"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the program is called.")],
    access: Annotated[Access, typer.Option(help="What its key may do.")],
    key: Annotated[
        str | None, typer.Option(help="The key, 32 lower-case hex characters.", show_default="a new one")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key for a program and print it; it is not shown again."""
    run(_create(name, access, key, data_dir))


async def _create(name: str, access: Access, key: str | None, data_dir: Path | None) -> None:
    from ticketing.history import recording as history
    from ticketing.sessions import integrations
    from ticketing.sessions.schemas import INTEGRATION

    async with desk(data_dir) as one:
        await integrations.ensure_name_free(one.db, name)
        await INTEGRATION.read({"name": name, "access": access.value}, one.db)
        try:
            made = await integrations.create_integration(one.db, one.new_id, name, access.value, key=key)
        except ValueError as error:
            fail(str(error))
        await history.record(one.db, one.new_id(), None, "integration.created", made.uri, access=access.value)
    progress(f"The {access} key of {name}; it is not shown again:")
    say(str(made.key))


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """List the programs that have a key."""
    run(_list(data_dir))


async def _list(data_dir: Path | None) -> None:
    from ticketing.sessions import queries

    async with desk(data_dir, existing=True) as one:
        rows = await one.db.fetch(
            f"SELECT {queries.INTEGRATIONS.columns} FROM {queries.INTEGRATIONS.source}"
            f" WHERE {queries.NOT_REVOKED} ORDER BY integration.id"
        )
    for row in rows:
        say(f"{row['id']}  {row['access']:<13}  {row['number']}  {row['name']}")
    if not rows:
        progress("No program has a key.")


@app.command()
def revoke(
    integration: Annotated[str, typer.Argument(metavar="ID", help="The id, as `list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke the key of a program; it is refused everywhere at once."""
    run(_revoke(integration, data_dir))


async def _revoke(integration: str, data_dir: Path | None) -> None:
    from ticketing.history import recording as history
    from ticketing.kit import ids
    from ticketing.sessions import integrations

    from .gate_codes import gate_codes

    async with desk(data_dir, existing=True) as one:
        await integrations.revoke_integration(one.db, gate_codes(data_dir), ids.parse(integration))
        await history.record(one.db, one.new_id(), None, "integration.revoked", f"/integrations/{integration}")
    say("The key is revoked.")
