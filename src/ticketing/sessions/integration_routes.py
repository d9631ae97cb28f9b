"""Integrations over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("API Integrations")
