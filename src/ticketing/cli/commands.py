"""The commands: `serve`, `demo`, `migrate`, `openapi`, `version`; `admin` and `integrations` have files of their own."""

import asyncio
import importlib.metadata
import os
from pathlib import Path
from typing import Annotated

import typer

from ticketing.embedded import default_data_dir

from .terminal import answers, faults_explained, progress, say

app = typer.Typer(
    name="ticketing",
    help="TickeTing: an API-first ticketing platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where data is kept.", show_default=str(default_data_dir()), envvar="TICKETING_DATA_DIR"),
]
Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
PortNumber = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for any free one.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Processes that answer.", show_default="one per core, at most 4"),
]


@app.command()
def serve(
    host: Host = "127.0.0.1", port: PortNumber = 8000, data_dir: DataDir = None, workers: Workers = None
) -> None:
    """Serve the API, with the PostgreSQL of DATABASE_URL or the embedded one."""
    from ticketing.serving import Options
    from ticketing.serving import serve as serve_until_stopped

    def ready(url: str) -> None:
        say(f"TickeTing answers at {url}/v3 (documentation: {url}/docs). Ctrl-C stops it.")
        answers.file.flush()

    options = Options(host, port, data_dir or default_data_dir(), workers or _cores())
    with faults_explained():
        asyncio.run(serve_until_stopped(options, progress=progress, ready=ready))


@app.command()
def openapi() -> None:
    """Print the OpenAPI description of the API."""
    from ticketing.app import description

    answers.file.write(description().decode() + "\n")


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
