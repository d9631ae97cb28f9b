"""`ticketing admin`: administrators, also when none of them can get in."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .database import desk, run
from .options import DataDir
from .terminal import fail, progress, say

app = typer.Typer(help="Make administrators, change roles, set passwords.", no_args_is_help=True)


class Role(StrEnum):
    """What a person may do."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    HOST = "host"
    ADMINISTRATOR = "administrator"


@app.command()
def create(
    username: Annotated[str, typer.Option(prompt=True, help="The name to sign in with.")],
    email: Annotated[str, typer.Option(prompt="E-mail address", help="The address, also good to sign in with.")],
    password_file: Annotated[
        Path | None, typer.Option(help="A file that holds the password; without it you are asked.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Create an account that administers the platform."""
    password = _password(password_file)
    run(_create({"username": username, "email": email, "password": password}, data_dir))


def _password(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {getattr(error, 'strerror', 'not text')}.") from None


async def _create(body: dict[str, str], data_dir: Path | None) -> None:
    from ticketing.accounts import actions, forms
    from ticketing.accounts.passwords import hash_password
    from ticketing.history import recording as history

    async with desk(data_dir) as one:
        await actions.ensure_free(one.db, body)
        values = await forms.read_registration(one.db, body)
        account = one.new_id()
        number = await actions.create_account(
            one.db, account, values, hash_password(body["password"]), role=Role.ADMINISTRATOR, verified=True
        )
        await history.record(
            one.db, one.new_id(), None, "account.created", f"/accounts/{number}", role=Role.ADMINISTRATOR
        )
    progress(f"The administrator {body['username']} can sign in. The account number:")
    say(number)


@app.command()
def password(
    number: Annotated[str, typer.Argument(help="The number of the account, like MO-6A39EE8D.")],
    password_file: Annotated[
        Path | None, typer.Option(help="A file that holds the password; without it you are asked.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Set somebody's password; the only way for an administrator who forgot it. Every session of the account ends."""
    run(_set_password(number, _password(password_file), data_dir))


async def _set_password(number: str, new: str, data_dir: Path | None) -> None:
    from ticketing.accounts import actions, queries, rules
    from ticketing.accounts.errors import AccountNotFound
    from ticketing.accounts.passwords import hash_password
    from ticketing.history import recording as history

    if not rules.is_password(new):
        fail("A password has 8 to 256 characters.")
    async with desk(data_dir, existing=True) as one:
        account_id = await queries.find_person(one.db, number)
        if account_id is None:
            raise AccountNotFound
        await actions.set_password(one.db, account_id, hash_password(new), by=rules.ChangedBy.SERVER)
        await history.record(one.db, one.new_id(), None, "account.password_set", f"/accounts/{number.upper()}")
    say("The password is set.")


@app.command()
def role(
    number: Annotated[str, typer.Argument(help="The number of the account, like MO-6A39EE8D.")],
    new_role: Annotated[Role, typer.Argument(metavar="ROLE", help="What it may do from now on.")],
    data_dir: DataDir = None,
) -> None:
    """Give an account another role. A new administrator is activated too, so this is also the way back in."""
    run(_change_role(number, new_role, data_dir))


async def _change_role(number: str, new_role: Role, data_dir: Path | None) -> None:
    from ticketing.accounts import actions
    from ticketing.history import recording as history

    async with desk(data_dir, existing=True) as one:
        await actions.set_role(one.db, number, new_role)
        if new_role is Role.ADMINISTRATOR:
            await one.db.execute("UPDATE accounts SET activated = true WHERE number = $1", number)
        await history.record(one.db, one.new_id(), None, "account.role", f"/accounts/{number}", role=new_role)
    say(f"{number} is {'an' if new_role is Role.ADMINISTRATOR else 'a'} {new_role} now.")
