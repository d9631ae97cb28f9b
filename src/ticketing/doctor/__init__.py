"""Whether the database keeps its promises: looked at whole, said in plain sentences, and mended where it may be."""

from .asking import ask_providers
from .examining import Diagnosis, Finding, examine
from .mending import mend
from .opening import open_sealed

__all__ = ["Diagnosis", "Finding", "ask_providers", "examine", "mend", "open_sealed"]
