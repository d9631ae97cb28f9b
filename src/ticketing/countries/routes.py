"""Countries over HTTP."""

from ticketing.web.operations import Call, Operations, Reply

from .names import NAMES
from .schemas import Countries

operations = Operations("Default Values")

_COUNTRIES = Countries(list(NAMES))


@operations("GET /countries", answers=Countries)
async def retrieve_countries(call: Call) -> Reply:
    """Retrieve a list of countries.

    The names that `country` members take, letter by letter.
    """
    return Reply(_COUNTRIES)
