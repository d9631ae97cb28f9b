"""Venues over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Venue Management")
