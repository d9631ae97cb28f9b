"""What people read, in their language: texts, dates and money, for pages and mail alike."""

from .catalogues import LANGUAGES, PSEUDO, Language, language_of, negotiate
from .moments import Moment, moment_of
from .money import amount

__all__ = ["LANGUAGES", "PSEUDO", "Language", "Moment", "amount", "language_of", "moment_of", "negotiate"]
