"""A test that was skipped has shown nothing, so it fails the run.

Unless this machine has not the program that the test needs, and the test says so by `lacks`: the run ends with what
was not tested there.
"""

from typing import NoReturn

import pytest

NOT_TESTED = "NOT TESTED, for this machine has no "

skipped: list[str] = []


def lacks(program: str) -> NoReturn:
    """Skip what this machine cannot show: `lacks("browser")`."""
    pytest.skip(NOT_TESTED + program)


def note(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Remember a test, or a whole module, that was skipped, and why."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


def wrong() -> list[str]:
    """The skips that no machine is an excuse for."""
    return [one for one in skipped if NOT_TESTED not in one]
