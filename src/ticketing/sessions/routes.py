"""Sessions over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Session Authentication")
