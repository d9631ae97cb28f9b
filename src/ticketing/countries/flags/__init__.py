"""The flag of every country in `names`, as a PNG 160 pixels wide.

Drawn from flag-icons 7.5.0 (MIT, see LICENSE.txt), 4:3; Nepal's is transparent beside the pennant.
"""

from functools import cache
from pathlib import Path

from ticketing.countries.names import icon_name, is_country

CONTENT_TYPE = "image/png"


def region_icon(country: str) -> bytes | None:
    """The flag of a country of our list, or None for any other name."""
    return icon(icon_name(country)) if is_country(country) else None


def icon(file_name: str) -> bytes | None:
    """What MEDIA + `/antigua_and_barbuda.png` serves; None for a file we do not ship.

    A look-up among the files read at first use, never a path made from the name.
    """
    return _icons().get(file_name)


@cache
def _icons() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(__file__).parent.glob("*.png")}
