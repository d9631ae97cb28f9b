"""What the supervisor and the keeper of the workers have to agree on."""

import json
from dataclasses import asdict, dataclass
from typing import Self

WORKERS_MODULE = "ticketing.serving.web_workers"
DRAIN_SECONDS = 15  # for what is under way when the server is told to end; clients give up after 10


@dataclass(frozen=True)
class Work:
    """Where to listen, how many workers, and their environment (the settings, secrets among them)."""

    address: str
    port: int
    workers: int
    environment: dict[str, str]

    def line(self) -> bytes:
        """As it travels: one line of JSON on the keeper's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """What `line` wrote."""
        return cls(**json.loads(line))
