"""A small world to look at: places, people, hosts, and events in every state."""

from .content import ADMINISTRATOR, CUSTOMER, GATE_CODE, HOST, OPEN_EVENT, PASSWORD, PUBLIC_KEY
from .credentials import KNOWN, Credentials, own_credentials
from .planting import NotEmpty, plant

__all__ = [
    "ADMINISTRATOR",
    "CUSTOMER",
    "GATE_CODE",
    "HOST",
    "KNOWN",
    "OPEN_EVENT",
    "PASSWORD",
    "PUBLIC_KEY",
    "Credentials",
    "NotEmpty",
    "own_credentials",
    "plant",
]
