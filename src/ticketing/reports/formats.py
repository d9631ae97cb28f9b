"""Which form of a report is asked for: JSON, a CSV file, or a spreadsheet."""

from enum import StrEnum

from ticketing.web.errors import InvalidValues, about
from ticketing.web.operations import Call


class Format(StrEnum):
    """The form of a report, as the query's `format` names it."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FILE_TYPES = (MEDIA_TYPES[Format.CSV], MEDIA_TYPES[Format.XLSX])
FORMAT = {"type": "string", "enum": [str(one) for one in Format], "description": "goes before the header Accept"}


def wanted_format(call: Call) -> Format:
    """What the query's `format` says, else what the header Accept likes best; JSON when it does not say.

    Raises InvalidValues.
    """
    if text := call.query.get("format", ""):
        try:
            return Format(text)
        except ValueError:
            raise InvalidValues(about("format", f"must be one of {', '.join(Format)}")) from None
    return liked_best(call.header("accept"))


def liked_best(accept: str) -> Format:
    """The form that an Accept header gives the greatest weight; of equals the first of Format."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        weights[media] = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
    return max(Format, key=lambda one: _weight_of(MEDIA_TYPES[one], weights))


def _weight_of(media: str, weights: dict[str, float]) -> float:
    family = f"{media.partition('/')[0]}/*"
    return next((weights[one] for one in (media, family, "*/*") if one in weights), 0.0)


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
