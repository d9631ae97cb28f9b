"""How `serve` runs: one process that starts and watches everything, and workers that answer.

    ticketing serve            the supervisor: data folder, embedded PostgreSQL, port, migrations, secret
    └── the workers' keeper    Granian's main process; has the application loaded and forks workers of it
        └── worker 1..N        a listening socket of its own (SO_REUSEPORT), an event loop, a pool

The supervisor outlives the rest: it starts again what dies, and stops PostgreSQL last. When it is killed itself, the
keeper notices at once (its standard input ends) and the workers soon (their parent is another), and they end.
"""

from .completing import complete
from .errors import CannotServe
from .port import is_reachable_from_elsewhere
from .supervisor import Options, serve

__all__ = ["CannotServe", "Options", "complete", "is_reachable_from_elsewhere", "serve"]
