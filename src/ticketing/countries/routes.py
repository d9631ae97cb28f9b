"""Countries over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Default Values")
