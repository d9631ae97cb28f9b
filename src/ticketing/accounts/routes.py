"""Accounts over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Account Management")
