"""Finding events by what they are called: `title` and `search` of every list of them.

`title` is a part of the title, as plain text or as a regular expression, in any case. Whether it is an expression, the
database says, whose dialect it is; how long it may take, we do. `search` is words, each of which is a part of the title
or of the name of host, venue or category.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ticketing.kit.database import Connection, Row
from ticketing.kit.database_errors import BAD_PATTERN, TIMED_OUT
from ticketing.kit.identity import identity
from ticketing.kit.searching import LONGEST_WORD, MOST_WORDS, fold, pieces_of_word
from ticketing.web.errors import InvalidValues
from ticketing.web.paging import Listing, Page

from .schemas import Event

LONGEST_PATTERN = 100
PATTERN_MILLISECONDS = 200

_SPECIAL = re.compile(r"[][\\^$.|?*+(){}]")  # without one of these an expression finds what plain text does
_BACK_REFERENCE = re.compile(r"\\[1-9]")
_ESCAPED_OR_LETTER = re.compile(r"\\.|.", re.DOTALL)

# Hosts, venues and categories are few: those that have a word are found first, so that the database knows how many
# events are theirs, and does without where there are none. Titles have an index over their pieces.
_NAMED = """
SELECT word, ARRAY(SELECT id FROM hosts WHERE strpos(search_text, word) > 0) AS host_id,
       ARRAY(SELECT id FROM venues WHERE strpos(search_text, word) > 0) AS venue_id,
       ARRAY(SELECT id FROM categories WHERE strpos(search_text, word) > 0) AS category_id
  FROM unnest($1::text[]) AS word"""


async def page_of_events(
    db: Connection,
    listing: Listing[Event],
    query: Mapping[str, str],
    build: Callable[[Row], Event],
    *,
    where: str,
    values: Sequence[Any] = (),
) -> Page[Event]:
    """The page of a list of events that the query asks for, by its title and words too.

    Raises what `Listing.page` raises, and InvalidValues for an expression that takes the database too long.
    """
    conditions, arguments = [f"({where})"], list(values)
    if words := _words(query.get("search", "")):
        conditions += [_has_word(row, arguments) for row in await db.fetch(_NAMED, words)]
    title = query.get("title", "")
    pattern = await _find_pattern(db, title)
    if title:
        arguments.append(identity(title))
        plain = f"(${len(arguments)} <> '' AND strpos(event.title_key, ${len(arguments)}) > 0)"
        if pattern is not None:
            arguments.append(pattern)
            plain += f" OR event.title ~* ${len(arguments)}"
            if not pattern.isascii():  # the database knows no case of other letters
                arguments.append(_folded(pattern))
                plain += f" OR event.title_key ~ ${len(arguments)}"
        conditions.append(f"({plain})")

    async def read() -> Page[Event]:
        return await listing.page(
            db, query, where=" AND ".join(conditions), values=arguments, build=build, ignore=("title", "search")
        )

    if pattern is None:
        return await read()
    try:
        async with db.transaction():
            await db.execute(f"SET LOCAL statement_timeout = {PATTERN_MILLISECONDS}")
            return await read()
    except TIMED_OUT:
        raise InvalidValues({"title": "an expression that takes too long to look for"}) from None


def _has_word(row: Row, arguments: list[Any]) -> str:
    """The condition that an event has a word; what it compares with joins the arguments."""
    arguments += [pieces_of_word(row["word"]), row["word"]]
    places = [
        f"event.search_pieces @> ${len(arguments) - 1}::text[] AND strpos(event.search_text, ${len(arguments)}) > 0"
    ]
    for column in ("host_id", "venue_id", "category_id"):
        if row[column]:
            arguments.append(row[column])
            places.append(f"event.{column} = ANY (${len(arguments)}::bigint[])")
    return f"({' OR '.join(places)})"


def _words(text: str) -> list[str]:
    """The folded words of a search. Raises InvalidValues for more than can be looked for."""
    words = fold(text[: (LONGEST_WORD + 1) * (MOST_WORDS + 1)]).split() if "\x00" not in text else [""] * 99
    if len(words) > MOST_WORDS or any(len(word) > LONGEST_WORD for word in words):
        raise InvalidValues({"search": f"at most {MOST_WORDS} words of at most {LONGEST_WORD} letters"})
    if text.strip() and not words:
        raise InvalidValues({"search": "has no letter or digit to look for"})
    return words


async def _find_pattern(db: Connection, text: str) -> str | None:
    """The text, if it may be looked for as a regular expression. Raises InvalidValues for text that none can be."""
    if "\x00" in text:
        raise InvalidValues({"title": "must not contain the character NUL"})
    if not _SPECIAL.search(text) or len(text) > LONGEST_PATTERN or _BACK_REFERENCE.search(text):
        return None
    try:
        async with db.transaction():
            await db.execute(f"SET LOCAL statement_timeout = {PATTERN_MILLISECONDS}")
            await db.fetchval("SELECT '' ~* $1 OR '' ~ $2", text, _folded(text))
    except (*BAD_PATTERN, *TIMED_OUT):
        return None
    return text


def _folded(pattern: str) -> str:
    """The expression as it finds folded titles: its letters in their case, its escapes as they are."""
    return _ESCAPED_OR_LETTER.sub(lambda part: part[0] if len(part[0]) > 1 else part[0].casefold(), pattern)
