"""Orders over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Placing an Order")
