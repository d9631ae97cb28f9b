"""The pages, for people with a browser: a client of the API like any other, on the same server.

They call the operations in the visitor's name (`client`), and render what these answer. Each module declares its
pages; `frame` shows them.
"""

from . import account, buying, console, desk, drafting, entering, gate, places, running, shop, wallet
from .frame import Frame
from .site import Site

PAGES = (
    shop.pages,
    buying.pages,
    entering.pages,
    wallet.pages,
    account.pages,
    console.pages,
    drafting.pages,
    running.pages,
    desk.pages,
    places.pages,
    gate.pages,
)

__all__ = ["PAGES", "Frame", "Site"]
