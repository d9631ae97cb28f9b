"""Tickets over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Account Activity")
