"""`ticketing secret`: what the database is sealed with - known, changed, lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ticketing.embedded import default_data_dir
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.sealing import giving_up, open_vault, rotating, take_up
from ticketing.sealing.sweeping import Swept
from ticketing.serving import CannotServe, complete
from ticketing.serving import completing as folder
from ticketing.serving.databases import ensure_shape
from ticketing.settings import Settings, read_settings

from .database import desk, reached, run
from .options import DataDir
from .terminal import fail, progress, say

app = typer.Typer(help="Change the server's secret, see which one is in use, give a lost one up.", no_args_is_help=True)

POOL_SIZE = 3
ONE_AT_A_TIME = 0x7158  # the advisory lock of whoever changes the secret or gives it up
PAUSE_SECONDS = 0.5
TURNS = 20  # through everything, before what others keep locked is left to the worker
NOTHING_TO_CHANGE_TO = (
    "This secret is the one in use: to change it, set TICKETING_SECRET to another (32 random characters or more), and"
    " TICKETING_SECRET_PREVIOUS to this one."
)
UNPREPARED = (
    "Nothing is changed yet: processes that run do not know the new secret ({count} of them). Start the servers and"
    " workers anew, with {both}, and run this again."
)
BOTH_SET = "the new one in TICKETING_SECRET and the one in use in TICKETING_SECRET_PREVIOUS"
BOTH_KEPT = "both in {folder}, where they find them"
AT_WORK = "Another `ticketing secret` is at work here: wait until it has ended."
STILL_KNOWN = (
    "Nothing is given up: processes that run know the secret ({count} of them). It is in their environment"
    " (TICKETING_SECRET); or stop them first."
)


@dataclass(frozen=True)
class _Open:
    """A database of the newest shape, where nobody else changes the secret, and the settings that concern it."""

    database: Database
    settings: Settings
    folder: Path

    @property
    def is_kept_in_folder(self) -> bool:
        """Whether the secret is the data folder's, and ours to replace."""
        return not self.settings.secret


@contextlib.asynccontextmanager
async def _open(data_dir: Path | None) -> AsyncIterator[_Open]:
    async with reached(data_dir, existing=True) as dsn:
        await ensure_shape(dsn)
        database = Database(dsn, pool_size=POOL_SIZE)
        await database.open()
        try:
            async with database.reading() as own:  # its lock ends with it
                if not await own.fetchval("SELECT pg_try_advisory_lock($1)", ONE_AT_A_TIME):
                    raise CannotServe(AT_WORK)
                yield _Open(database, read_settings(), (data_dir or default_data_dir()).expanduser())
        finally:
            await database.close()


@app.command()
def status(data_dir: DataDir = None) -> None:
    """Show which secret is in use, by its fingerprint, and until when those before it are needed."""
    run(_show(data_dir))


async def _show(data_dir: Path | None) -> None:
    async with desk(data_dir, existing=True) as one:
        known = await rotating.list_known(one.db)
    for secret in known:
        until = f"retired, needed until {secret.needed_until} UTC" if secret.needed_until else "in use"
        say(f"{secret.fingerprint}  since {secret.since} UTC  {until}")
    if not known:
        progress("There is no secret yet: the first server that starts brings one.")


@app.command()
def rotate(data_dir: DataDir = None) -> None:
    """Change the secret, while the platform sells: put the new one in use and seal everything anew with it.

    Servers and workers have to know both first. May be broken off and run again.
    """
    run(_rotate(data_dir))


async def _rotate(data_dir: Path | None) -> None:
    async with _open(data_dir) as opened:
        settings = complete(opened.settings, "", opened.folder)
        vault = await _take_up(opened.database, settings)
        if opened.is_kept_in_folder and settings.secret_previous in ("", settings.secret):
            folder.make_secret_file(opened.folder, progress)
            settings = complete(opened.settings, "", opened.folder)
            vault = await _take_up(opened.database, settings)
        if not rotating.is_in_use(vault, settings.secret):
            await _put_in_use(opened, vault, settings.secret)
        elif len(vault.fingerprints()) == 1:
            fail(NOTHING_TO_CHANGE_TO)
        swept = await _seal_all_anew(opened.database, vault)
        if opened.is_kept_in_folder:
            (opened.folder / folder.PREVIOUS_FILE).unlink(missing_ok=True)
    _tell(swept)


async def _take_up(database: Database, settings: Settings) -> Vault:
    vault = open_vault(settings)
    async with database.reading() as db:
        await take_up(db, vault)
    return vault


async def _put_in_use(opened: _Open, vault: Vault, secret: str) -> None:
    try:
        await rotating.put_in_use(opened.database, vault, secret)
    except rotating.Unprepared as unprepared:
        both = BOTH_KEPT.format(folder=opened.folder) if opened.is_kept_in_folder else BOTH_SET
        fail(UNPREPARED.format(count=unprepared.count, both=both))
    progress("The new secret is in use.")


async def _seal_all_anew(database: Database, vault: Vault) -> Swept:
    def tell(name: str, swept: Swept) -> None:
        if swept.anew:
            progress(f"{swept.anew} {name} sealed anew")

    anew = 0
    for _turn in range(TURNS):
        swept = await rotating.seal_all_anew(database, vault, tell)
        anew += swept.anew
        if not swept.left:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return Swept(anew, swept.left, swept.lost)


def _tell(swept: Swept) -> None:
    if swept.lost:
        progress(f"{swept.lost} things are opened by no secret that is known: `ticketing doctor` names them.")
    if swept.left:
        fail(f"{swept.left} things are in other hands: the worker seals them anew within minutes, or run this again.")
    say(
        f"Everything is sealed with the new secret, {swept.anew} things anew. The one before may be taken out of the"
        " settings at the next start. Keep it for backups that were made until now: they open with it alone."
    )


@app.command("give-up")
def give_up(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False, data_dir: DataDir = None
) -> None:
    """Go on without a secret that is lost: say what is lost with it, ask, and put the one that is set in use."""
    run(_give_up(yes, data_dir))


async def _give_up(yes: bool, data_dir: Path | None) -> None:
    async with _open(data_dir) as opened:
        has_secret = opened.settings.secret or folder.has_secret(opened.folder)
        # None is made before it is wanted.
        vault = open_vault(complete(opened.settings, "", opened.folder)) if has_secret else Vault("")
        loss = await _count_loss(opened.database, vault)
        if loss.is_none:
            say("Nothing is lost: the secret opens everything.")
            return
        _announce(loss)
        if not yes:
            typer.confirm("Give it up?", abort=True, err=True)
        if not has_secret:
            folder.make_secret_file(opened.folder, progress)
            vault = open_vault(complete(opened.settings, "", opened.folder))
        await giving_up.give_up(opened.database, vault, loss, lambda what: progress(f"Giving up {what}."))
    say("It is given up, and the secret that is set is in use.")


async def _count_loss(database: Database, vault: Vault) -> giving_up.Loss:
    try:
        return await giving_up.count_loss(database, vault)
    except giving_up.StillKnown as known:
        raise CannotServe(STILL_KNOWN.format(count=known.count)) from None


def _announce(loss: giving_up.Loss) -> None:
    if not loss.is_known:
        progress("The secret in use is none of those that are set. Without it, this is lost for good:")
    for sealed, count in loss.counts:
        progress(f"  {sealed.name} ({count}) {sealed.loss}.")
    if loss.mailed_codes:
        progress(f"  mailed codes ({loss.mailed_codes}) are right no more: people ask for new ones.")
    if not loss.counts and not loss.mailed_codes:
        progress("  nothing: no open thing is sealed with it.")
