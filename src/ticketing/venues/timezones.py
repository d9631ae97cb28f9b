"""The time zone of a place.

The library and its map take half a second and 33 MB, so a process loads them when it first writes a venue; the map's
outlines stay in the file (another 30 MB otherwise) and a look-up takes less than a millisecond all the same.
"""

import asyncio
import atexit
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timezonefinder import TimezoneFinder

_lock = threading.Lock()  # a finder reads its file from one position, so one thread at a time
_finder: "TimezoneFinder | None" = None


async def timezone_at(latitude: float, longitude: float) -> str:
    """The IANA name of the zone at the point; `Etc/GMT+4` and the like at sea."""
    return await asyncio.to_thread(_find, latitude, longitude)


def _find(latitude: float, longitude: float) -> str:
    global _finder
    with _lock:
        if _finder is None:
            from timezonefinder import TimezoneFinder

            _finder = TimezoneFinder(in_memory=False)
            atexit.register(_finder.cleanup)
        return str(_finder.timezone_at(lat=latitude, lng=longitude))
