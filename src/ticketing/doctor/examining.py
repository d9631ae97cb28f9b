"""Going through the promises, in one snapshot of a database that may be in use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ticketing.kit.database import Connection

from .checks import CHECKS, Check

SHOWN = 100  # findings of one check that are told; all are counted
ANSWER_SECONDS = 600.0


@dataclass(frozen=True)
class Finding:
    """A broken promise: what is concerned, and what is wrong with it."""

    check: str
    thing: str
    fault: str

    @property
    def sentence(self) -> str:
        """For the person at the terminal."""
        return f"{self.thing}: {self.fault}."


@dataclass
class Diagnosis:
    """What was found, at most SHOWN of each check; `counts` says how many there are of each that found any."""

    checks: int
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Take up a finding; beyond SHOWN of its check it is only counted."""
        self.counts[finding.check] = self.counts.get(finding.check, 0) + 1
        if sum(known.check == finding.check for known in self.findings) < SHOWN:
            self.findings.append(finding)

    @property
    def is_well(self) -> bool:
        """Whether every promise is kept."""
        return not self.counts

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "well": self.is_well,
            "checks": self.checks,
            "counts": self.counts,
            "findings": [
                {"check": finding.check, "thing": finding.thing, "fault": finding.fault} for finding in self.findings
            ],
        }


async def examine(
    db: Connection, progress: Callable[[str], None] = lambda _line: None, checks: Sequence[Check] = CHECKS
) -> Diagnosis:
    """Go through the checks; nothing is written and nobody is held up.

    Memory stays flat: the database counts, and only the findings that are shown leave it.
    """
    diagnosis = Diagnosis(len(checks))
    async with db.transaction(isolation="repeatable_read", readonly=True):
        await db.execute("SET LOCAL work_mem = '128MB'")
        for number, check in enumerate(checks, 1):
            progress(f"{number}/{len(checks)} {check.promise}")
            await _ask(db, check, diagnosis)
    return diagnosis


async def _ask(db: Connection, check: Check, diagnosis: Diagnosis) -> None:
    rows = await db.fetch(
        f"SELECT thing, fault, count(*) OVER () AS found FROM ({check.sql}) breach LIMIT {SHOWN}",
        timeout=ANSWER_SECONDS,
    )
    for row in rows:
        diagnosis.add(Finding(check.name, row["thing"], row["fault"]))
    if rows:
        diagnosis.counts[check.name] = rows[0]["found"]
