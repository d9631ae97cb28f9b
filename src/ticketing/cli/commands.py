"""The commands of the server itself; `admin`, `integrations`, `secret` and `ticket-keys` have files of their own."""

import asyncio
import importlib.metadata
import os
from pathlib import Path
from typing import Annotated

import typer

from ticketing.embedded import default_data_dir
from ticketing.serving import CannotServe, Options, complete, is_reachable_from_elsewhere
from ticketing.serving import serve as serve_until_stopped
from ticketing.settings import Settings, injected, read_settings, table

from . import admin, integrations, secret, ticket_keys
from .database import reached, run
from .doctor import doctor
from .options import DataDir
from .sort_keys import sort_keys
from .terminal import answers, fail, faults_explained, progress, say

app = typer.Typer(
    name="ticketing",
    help="TickeTing: an API-first ticketing platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(admin.app, name="admin")
app.add_typer(integrations.app, name="integrations")
app.add_typer(secret.app, name="secret")
app.add_typer(ticket_keys.app, name="ticket-keys")
app.command()(doctor)
app.command("sort-keys")(sort_keys)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    for name in injected():
        progress(f"{name} is no setting: a cluster sets it for a service of that name. It is ignored.")


LOCALHOST = "http://localhost:*,http://127.0.0.1:*"  # a front end being developed runs on any port

DemoDir = Annotated[
    Path | None,
    typer.Option(help="Where data is kept.", show_default=str(default_data_dir() / "demo")),
]
Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
PortNumber = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for any free one.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Processes that answer.", show_default="one per core, at most 4"),
]

OpenToNetwork = Annotated[
    bool,
    typer.Option(
        "--open-to-network",
        help="Let other machines reach the demo, with passwords, a public key and a gate code of its own, made at each"
        " start and printed. What is done in it, anybody who has them sees; its mail stays on this machine.",
    ),
]
NOT_FOR_OTHERS = (
    "Everybody knows the demo's passwords, its administrator's too, and other machines can reach {host}."
    " Leave --host out, or add --open-to-network: it lets others in, with passwords of its own."
)


@app.command()
def serve(host: Host = "127.0.0.1", port: PortNumber = 8000, data_dir: DataDir = None, workers: Workers = None) -> None:
    """Serve the API, with the PostgreSQL of DATABASE_URL or the embedded one."""

    def ready(url: str) -> None:
        say(f"TickeTing answers at {url}/v3 (documentation: {url}/docs). Ctrl-C stops it.")
        answers.file.flush()

    options = Options(host, port, data_dir or default_data_dir(), workers or _cores())
    with faults_explained():
        asyncio.run(serve_until_stopped(options, progress=progress, ready=ready))


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: PortNumber = 8000,
    data_dir: DemoDir = None,
    workers: Workers = None,
    open_to_network: OpenToNetwork = False,
) -> None:
    """Serve a small world to look at, and print who can sign in."""
    import ticketing.demo as world

    with faults_explained():
        credentials = world.KNOWN
        if asyncio.run(is_reachable_from_elsewhere(host)):
            if not open_to_network:
                fail(NOT_FOR_OTHERS.format(host=host))
            credentials = world.own_credentials()

    async def prepare(settings: Settings) -> None:
        try:
            await world.plant(settings, progress, credentials)
        except world.NotEmpty as error:
            raise CannotServe(str(error)) from None

    def ready(url: str) -> None:
        say(
            f"""
TickeTing answers at {url}/v3 (documentation: {url}/docs). Ctrl-C stops it.

  administrator  {world.ADMINISTRATOR:<10} password  {credentials.passwords[world.ADMINISTRATOR]}
  host           {world.HOST:<10} password  {credentials.passwords[world.HOST]}
  customer       {world.CUSTOMER:<10} password  {credentials.passwords[world.CUSTOMER]}
  public key     {credentials.public_key}
  shop           {url}/
  console        {url}/host     (sign in as {world.HOST})
  desk           {url}/desk     (sign in as {world.ADMINISTRATOR})
  gate           {url}/gate     (with the gate code)
  gate code      {credentials.gate_code} ({world.OPEN_EVENT})
  mail           {url}/dev/mail
"""
        )
        answers.file.flush()

    defaults = {"TICKETING_CORS_ORIGINS": LOCALHOST, "TICKETING_DEV_PAGES": "on"}
    options = Options(host, port, data_dir or default_data_dir() / "demo", workers or _cores(), defaults)
    with faults_explained():
        asyncio.run(serve_until_stopped(options, progress=progress, ready=ready, prepare=prepare))


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest shape; `serve` does so by itself."""
    run(_migrate(data_dir))


async def _migrate(data_dir: Path | None) -> None:
    from ticketing.migrations import newest
    from ticketing.serving.databases import prepare_database

    async with reached(data_dir) as dsn:
        await prepare_database(dsn, progress)
    say(f"The database is at revision {newest()}.")


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Do jobs, beside the worker that every `serve` runs."""
    run(_work(data_dir))


async def _work(data_dir: Path | None) -> None:
    from ticketing.kit.logs import configure_logs
    from ticketing.serving.job_worker import work_until_told

    settings = read_settings()
    configure_logs(settings.log_format)
    async with reached(data_dir, existing=True) as dsn:
        settings = complete(settings, dsn, data_dir or default_data_dir())
        progress("Doing jobs. Ctrl-C stops it.")
        await work_until_told(settings)


@app.command()
def openapi() -> None:
    """Print the OpenAPI description of the API."""
    from ticketing.app import description

    answers.file.write(description().decode() + "\n")


@app.command("settings")
def print_settings() -> None:
    """Print the table of settings."""
    say(table())


@app.command()
def version() -> None:
    """Print the version."""
    say(importlib.metadata.version("ticketing"))


def _cores() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 4)


def main() -> None:
    """Run the command."""
    app()
