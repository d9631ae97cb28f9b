"""Hosts over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Managing Host Accounts")
