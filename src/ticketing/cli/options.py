"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from ticketing.embedded import default_data_dir

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where data is kept.", show_default=str(default_data_dir()), envvar="TICKETING_DATA_DIR"),
]
