"""Reading categories."""

from typing import NamedTuple

from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.web.errors import NotFound
from ticketing.web.paging import Listing

from .schemas import Category

COLUMNS = """
category.id AS category_id, category.name AS category_name, category.subcategories AS category_subcategories"""


def build_category(row: Row, prefix: str = "category_") -> Category:
    """A category as the API shows it, of a row that holds COLUMNS (an event's row does)."""
    return Category(
        uri=f"/categories/{row[prefix + 'id']}",
        name=row[prefix + "name"],
        subcategories=row[prefix + "subcategories"],
    )


CATEGORIES: Listing[Category] = Listing(
    source="categories category",
    columns=COLUMNS,
    id="category.id",
    build=build_category,
)


class FoundCategory(NamedTuple):
    """What an event needs of its category."""

    id: int
    subcategories: list[str]


async def get_category(db: Connection, segment: str) -> Category:
    """The category with this id. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {COLUMNS} FROM categories category WHERE category.id = $1 AND category.removed_at IS NULL",
        ids.parse(segment),
    )
    if row is None:
        raise NotFound
    return build_category(row)


async def find_category(db: Connection, category_id: int) -> FoundCategory | None:
    """The category with this id, or None; for references in bodies.

    It stays as it is until the transaction ends.
    """
    row = await db.fetchrow(
        "SELECT id, subcategories FROM categories WHERE id = $1 AND removed_at IS NULL FOR KEY SHARE", category_id
    )
    return FoundCategory(row["id"], row["subcategories"]) if row else None
