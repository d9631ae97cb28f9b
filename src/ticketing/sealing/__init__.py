"""The server's secret: which one the database is sealed with, how it is changed while selling, what its loss means."""

from .keeping import UnknownSecret, is_sealed, keep_up, open_vault, recognise, take_up
from .things import SEALED

__all__ = ["SEALED", "UnknownSecret", "is_sealed", "keep_up", "open_vault", "recognise", "take_up"]
