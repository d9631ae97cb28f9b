"""What the commands say, and how: progress and faults to standard error, answers to standard output."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from rich.console import Console

from ticketing.embedded import EmbeddedError
from ticketing.kit.nowhere import lead_nowhere
from ticketing.sealing import UnknownSecret
from ticketing.serving import CannotServe
from ticketing.settings import BadSetting


class _Console(Console):
    """A terminal or a pipe that may be closed while we go on: what nobody reads is not said, and ends nothing."""

    def print(self, *objects: Any, **style: Any) -> None:
        try:
            super().print(*objects, **style)
        except OSError:  # EIO: the terminal is gone
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        lead_nowhere(2 if self.stderr else 1)


answers = _Console(highlight=False, soft_wrap=True)
notes = _Console(stderr=True, highlight=False, soft_wrap=True)


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
    except (CannotServe, UnknownSecret, EmbeddedError, BadSetting) as fault:
        fail(str(fault))
    except KeyboardInterrupt:
        sys.exit(130)
