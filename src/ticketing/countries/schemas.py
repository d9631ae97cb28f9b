"""Countries on the wire."""

import msgspec


class Countries(msgspec.Struct):
    """The countries by their common English names, in alphabetical order."""

    countries: list[str]
