"""A small world to look at: places, people, hosts, and events in every state."""

from .content import ADMINISTRATOR, CUSTOMER, GATE_CODE, HOST, OPEN_EVENT, PASSWORD, PUBLIC_KEY
from .planting import NotEmpty, plant

__all__ = [
    "ADMINISTRATOR",
    "CUSTOMER",
    "GATE_CODE",
    "HOST",
    "OPEN_EVENT",
    "PASSWORD",
    "PUBLIC_KEY",
    "NotEmpty",
    "plant",
]
