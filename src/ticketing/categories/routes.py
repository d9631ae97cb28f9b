"""Categories over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Category Management")
