"""Which letters there are, and making any text one that can be printed. Loaded in the press's process alone.

The fonts travel with us (fonts/README.md). A document takes in only those that its texts need.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fpdf import FPDF

FONTS = Path(__file__).parent / "fonts"
FAMILY = "letters"
MISSING = "□"
JOINERS = "\u200c\u200d"  # spelling, after a letter
MARKS_PER_LETTER = 3  # no script needs more; a name must not print over the rest of the page


class _Script(NamedTuple):
    """A font for the letters that the pattern finds; `bold` when it has a bold cut."""

    file: str
    letters: re.Pattern[str]
    bold: bool = False


def _script(file: str, letters: str, *, bold: bool = False) -> _Script:
    return _Script(file, re.compile(f"[{letters}]"), bold)


# In the order in which they are asked for a letter that the main font does not have.
_SCRIPTS = [
    _script("NotoSansArabic", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefe", bold=True),
    _script("NotoSansHebrew", "\u0590-\u05ff\ufb1d-\ufb4f", bold=True),
    _script("NotoSansThai", "\u0e00-\u0e7f", bold=True),
    _script("NotoSansDevanagari", "\u0900-\u097f\ua8e0-\ua8ff"),
    _script("NotoSansBengali", "\u0980-\u09ff"),
    _script("NotoSansGurmukhi", "\u0a00-\u0a7f"),
    _script("NotoSansGujarati", "\u0a80-\u0aff"),
    _script("NotoSansTamil", "\u0b80-\u0bff"),
    _script("NotoSansTelugu", "\u0c00-\u0c7f"),
    _script("NotoSansKannada", "\u0c80-\u0cff"),
    _script("NotoSansMalayalam", "\u0d00-\u0d7f"),
    _script("NotoSansSinhala", "\u0d80-\u0dff"),
    _script("NotoSansLao", "\u0e80-\u0eff"),
    _script("NotoSansMyanmar", "\u1000-\u109f"),
    _script("NotoSansGeorgian", "\u10a0-\u10ff\u1c90-\u1cbf"),
    _script("NotoSansEthiopic", "\u1200-\u139f\u2d80-\u2ddf\uab00-\uab2f"),
    _script("NotoSansKhmer", "\u1780-\u17ff\u19e0-\u19ff"),
    _script("NotoSansArmenian", "\u0530-\u058f\ufb13-\ufb17"),
    _script("NotoSansKR-Hangul", "\uac00-\ud7a3\u3131-\u318e"),
    _script("DroidSansFallbackFull", "\u1100-\u11ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"),
    _script("NotoSansSymbols2", "\u2190-\u2bff\U0001f000-\U0001faff"),
]

_SYMBOLS = _SCRIPTS[-1]

_ARABIC_OR_HEBREW = {"R", "AL"}


def load_fonts(pdf: FPDF, texts: Iterable[str]) -> None:
    """Give the document the fonts that these texts need, and set the main one."""
    everything = "".join(texts)
    pdf.add_font(FAMILY, "", FONTS / "NotoSans-Regular.ttf")
    pdf.add_font(FAMILY, "B", FONTS / "NotoSans-Bold.ttf")
    needed = [script for script in _SCRIPTS if script.letters.search(everything)]
    for script in needed:
        _add(pdf, script)
    if _SYMBOLS not in needed and not all(_has(pdf, letter) for letter in set(everything)):
        needed.append(_SYMBOLS)  # it has the box that stands for what no font has
        _add(pdf, _SYMBOLS)
    pdf.set_fallback_fonts([script.file for script in needed], exact_match=False)
    pdf.set_text_shaping(True)
    pdf.set_font(FAMILY)


def _add(pdf: FPDF, script: _Script) -> None:
    regular = next(FONTS.glob(f"{script.file}*Regular.ttf"), None) or next(FONTS.glob(f"{script.file}.*"))
    pdf.add_font(script.file, "", regular)
    if script.bold:
        pdf.add_font(script.file, "B", FONTS / f"{script.file}-Bold.ttf")


def printable(pdf: FPDF, text: str) -> str:
    """The text in one line, of letters that the document's fonts have.

    What none has becomes an empty box, whatever it is: nothing vanishes. What turns the direction of writing is left
    out, and so are more marks on one letter than any script has: a name stays where it is put.
    """
    kept: list[str] = []
    marks = 0
    for letter in " ".join(unicodedata.normalize("NFC", text).split()):
        category = unicodedata.category(letter)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS_PER_LETTER:
            continue
        if category == "Cf":
            if letter in JOINERS and kept and unicodedata.category(kept[-1])[0] in "LM":
                kept.append(letter)
        elif letter == " " or _has(pdf, letter):
            kept.append(letter)
        elif category[0] in "LNPS" or category == "Co":
            kept.append(MISSING)
    shown = " ".join("".join(kept).split())
    return shown if shown or not text.strip() else MISSING


def has_bold(text: str) -> bool:
    """Whether there is a bold cut of all its letters."""
    return all(script.bold or not script.letters.search(text) for script in _SCRIPTS)


def runs_leftwards(text: str) -> bool:
    """Whether the text is written from right to left: its first letter with a direction says so."""
    for letter in text:
        direction = unicodedata.bidirectional(letter)
        if direction == "L":
            return False
        if direction in _ARABIC_OR_HEBREW:
            return True
    return False


def _has(pdf: FPDF, letter: str) -> bool:
    return any(ord(letter) in font.cmap for font in pdf.fonts.values() if hasattr(font, "cmap"))
