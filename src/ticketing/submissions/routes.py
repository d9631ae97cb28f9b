"""Submissions over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Reviewing Content")
