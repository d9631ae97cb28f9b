"""How names are sorted: by the Unicode Collation Algorithm, in its root order, so that Éclair stands before zoo.

The database that comes along knows no such order. The key is made here by `pyuca`, whose table is that of Unicode 10,
and stored beside the name; `VERSION` says by what, so that keys of another table are told from ours and made anew
(`ticketing sort-keys`).
"""

import threading
from typing import Any

VERSION = 1
LONGEST_KEY = 1000  # bytes: an index takes no more than 2700

_making = threading.Lock()
_collator: Any = None


def sort_key(text: str) -> bytes:
    """The bytes by which a name is sorted; their order is that of the names."""
    weights = _loaded().sort_key(text)[: LONGEST_KEY // 2]
    return b"".join(min(weight, 0xFFFF).to_bytes(2, "big") for weight in weights)


def _loaded() -> Any:
    """The collator; its table takes a third of a second to read, and only who writes names needs it."""
    global _collator
    with _making:
        if _collator is None:
            from pyuca import Collator

            _collator = Collator()
    return _collator
