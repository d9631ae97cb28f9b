"""Events over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Working with Events")
