"""What the commands say, and how: progress and faults to standard error, answers to standard output."""

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

from rich.console import Console

from ticketing.embedded import EmbeddedError
from ticketing.serving import CannotServe
from ticketing.settings import BadSetting

answers = Console(highlight=False, soft_wrap=True)
notes = Console(stderr=True, highlight=False, soft_wrap=True)


def progress(line: str) -> None:
    """Tell the person at the terminal what takes its time."""
    notes.print(line, style="dim", markup=False)


def say(line: str) -> None:
    """An answer of a command."""
    answers.print(line, markup=False)


def fail(sentence: str) -> NoReturn:
    """Say what is wrong and end with exit code 1."""
    notes.print(sentence, style="red", markup=False)
    sys.exit(1)


@contextlib.contextmanager
def faults_explained() -> Iterator[None]:
    """Faults that we know end the command with one sentence."""
    try:
        yield
    except (CannotServe, EmbeddedError, BadSetting) as fault:
        fail(str(fault))
    except KeyboardInterrupt:
        sys.exit(130)
