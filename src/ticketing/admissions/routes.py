"""Admissions over HTTP."""

from ticketing.kit.operations import Operations

operations = Operations("Event Admissions")
