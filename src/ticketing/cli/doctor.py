"""`ticketing doctor`: whether what the database says is true."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from ticketing.doctor import Diagnosis, ask_providers, examine, mend, open_sealed
from ticketing.embedded import default_data_dir
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments.providers.choosing import build_providers
from ticketing.sealing import open_vault, recognise
from ticketing.serving import complete
from ticketing.serving.databases import ensure_shape
from ticketing.settings import Settings, read_settings

from .database import reached, run
from .options import DataDir
from .terminal import answers, progress, say

POOL_SIZE = 4


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Count anew what is derived; money and tickets stay.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say it for machines.")] = False,
    days: Annotated[
        int, typer.Option(min=0, max=3650, help="Ask the payment provider about the payments of so many days.")
    ] = 3,
    data_dir: DataDir = None,
) -> None:
    """Prove that the database keeps the platform's promises; exit code 2 when it does not.

    May be run while the platform sells: nobody is held up.
    """
    run(_examine(fix, as_json, days, data_dir))


async def _examine(fix: bool, as_json: bool, days: int, data_dir: Path | None) -> None:
    mended: list[str] = []
    async with _open(data_dir) as (settings, database, vault):
        if fix:
            async with database.transaction() as db:
                mended = await mend(db, database.new_id)
        async with database.reading() as db:
            diagnosis = await examine(db, progress)
        await open_sealed(database, vault, diagnosis, progress)
        providers = build_providers(settings, database, vault)
        try:
            await ask_providers(database, providers, days, diagnosis, progress)
        finally:
            await providers.close()
    if as_json:
        answers.file.write(json.dumps(diagnosis.as_json() | {"mended": mended}, indent=2) + "\n")
    else:
        _tell(diagnosis, mended)
    if not diagnosis.is_well:
        raise typer.Exit(2)


@contextlib.asynccontextmanager
async def _open(data_dir: Path | None) -> AsyncIterator[tuple[Settings, Database, Vault]]:
    async with reached(data_dir, existing=True) as dsn:
        await ensure_shape(dsn)
        settings = complete(read_settings(), dsn, data_dir or default_data_dir())
        database = Database(dsn, pool_size=POOL_SIZE)
        await database.open()
        try:
            vault = open_vault(settings)
            async with database.reading() as db:
                await recognise(db, vault)
            yield settings, database, vault
        finally:
            await database.close()


def _tell(diagnosis: Diagnosis, mended: list[str]) -> None:
    for sentence in mended:
        say(f"Mended: {sentence}")
    for check, found in diagnosis.counts.items():
        say(f"\n{check}: {found} broken" + (", among them:" if found > _shown(diagnosis, check) else ":"))
        for finding in diagnosis.findings:
            if finding.check == check:
                say(f"  {finding.sentence}")
    if diagnosis.is_well:
        say(f"All is well: {diagnosis.checks} promises are kept.")


def _shown(diagnosis: Diagnosis, check: str) -> int:
    return sum(finding.check == check for finding in diagnosis.findings)
