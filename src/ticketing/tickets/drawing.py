"""Drawing tickets: a page of A6 per ticket, which fills a phone's screen and prints on any paper.

Loaded in the press's process alone: fpdf2 and its fonts take 70 MB.
"""

import io
import time
from collections.abc import Sequence
from colorsys import hls_to_rgb
from hashlib import sha256
from typing import Any, NamedTuple, cast

from fpdf import FPDF
from fpdf.drawing_primitives import DeviceRGB
from fpdf.enums import MethodReturnValue, TextMode, XPos, YPos
from fpdf.fonts import TTFFont

from .codes import draw_code
from .lettering import FAMILY, has_bold, load_fonts, printable, runs_leftwards
from .sheets import Part, Sheet

WIDTH, HEIGHT = 105.0, 148.0  # A6, in mm
MARGIN = 8.0
INNER = WIDTH - 2 * MARGIN
CODE_MM = 46.0
QUIET_MM = 5.0  # the same around the code on the page; its modules are 1 mm or less
TEAR = 91.0  # where the stub with the code begins
SERIAL_SIZES = [12, 11, 10, 9, 8]  # twelve times W fits in the last
SERIAL_LETTERS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTERS_PER_LINE = 150  # more never fit; what is longer need not be measured

Colour = tuple[int, int, int]
INK: Colour = (24, 26, 36)
FAINT: Colour = (104, 108, 122)
WHITE: Colour = (255, 255, 255)

_POINT = 25.4 / 72
_LEADING = 1.28


def draw_pdf(sheets: Sequence[Sheet], seconds: float) -> Part:
    """The file, a page per ticket: of as many of them as there are seconds of a processor for, one at least."""
    ends = time.process_time() + seconds
    pdf = FPDF(unit="mm", format=(WIDTH, HEIGHT))
    pdf.set_auto_page_break(False)
    pdf.alias_nb_pages("")  # no text stands for the number of pages
    pdf.set_margin(0)
    pdf.c_margin = 0
    load_fonts(pdf, (text for sheet in sheets for text in _texts(sheet)))
    pdf.set_title(printable(pdf, sheets[0].title) if len({one.title for one in sheets}) == 1 else "Tickets")
    pdf.set_creator("TickeTing")
    pdf.set_lang("en")
    _take_in(pdf, SERIAL_LETTERS)
    typesetter = _Typesetter(pdf)
    for sheet in sheets:
        pdf.add_page()
        _Page(pdf, typesetter, sheet).draw()
        if time.process_time() >= ends:
            break
    return Part(len(pdf.pages), bytes(pdf.output()))


def _take_in(pdf: FPDF, letters: str) -> None:
    """Put letters in the file whether or not they are used: with those that differ from page to page, all parts of an
    order have the same fonts, which are bound into one.
    """
    bold = cast("TTFFont", pdf.fonts[f"{FAMILY}B"])
    for letter in letters:
        bold.subset.pick(ord(letter))


def _texts(sheet: Sheet) -> list[str]:
    return [sheet.title, sheet.host, sheet.section, sheet.holder, sheet.venue, sheet.address, sheet.disclaimer]


class _Setting(NamedTuple):
    """A text as it is set: its letters, the size in points, the cut ("B": bold)."""

    text: str
    size: float
    cut: str


class _Typesetter:
    """Finds how texts fit; the pages of one event say nearly the same, so each text is measured once."""

    def __init__(self, pdf: FPDF) -> None:
        self._pdf = pdf
        self._known: dict[tuple[Any, ...], _Setting] = {}

    def set(self, text: str, width: float, sizes: Sequence[float], lines: int, *, bold: bool) -> _Setting:
        """The text in the largest of the sizes in which it fits into so many lines, shortened if need be."""
        wanted = (text, width, *sizes, lines, bold)
        if wanted not in self._known:
            self._known[wanted] = self._fit(
                printable(self._pdf, text[: LETTERS_PER_LINE * lines]), width, sizes, lines, bold=bold
            )
        return self._known[wanted]

    def _fit(self, text: str, width: float, sizes: Sequence[float], lines: int, *, bold: bool) -> _Setting:
        cut = "B" if bold and has_bold(text) else ""
        for size in sizes:
            self._pdf.set_font(FAMILY, cut, size)
            if self._count_lines(text, width) <= lines:
                return _Setting(text, size, cut)
        return _Setting(self._shorten(text, width, lines), sizes[-1], cut)

    def _count_lines(self, text: str, width: float) -> int:
        broken = self._pdf.multi_cell(width, 1, text, align="L", dry_run=True, output=MethodReturnValue.LINES)
        return len(cast("list[str]", broken))

    def _shorten(self, text: str, width: float, lines: int) -> str:
        """The longest beginning of the text that fits, and an ellipsis."""
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self._count_lines(f"{text[:middle].rstrip()}…", width) <= lines:
                fits = middle
            else:
                too_long = middle
        return f"{text[:fits].rstrip()}…"


class _Page:
    """One ticket on the page that was just begun."""

    def __init__(self, pdf: FPDF, typesetter: _Typesetter, sheet: Sheet) -> None:
        self._pdf = pdf
        self._typesetter = typesetter
        self._sheet = sheet
        self._accent = _accent(sheet.seed)

    def draw(self) -> None:
        self._draw_head()
        self._draw_event()
        self._draw_tear()
        self._draw_stub()

    def _draw_head(self) -> None:
        self._pdf.set_fill_color(*self._accent)
        self._pdf.rect(0, 0, WIDTH, 11, style="F")
        self._write(self._sheet.host, MARGIN, 3.2, INNER - 20, [9, 8, 7], bold=True, colour=WHITE)
        self._write("TICKET", WIDTH - MARGIN - 18, 3.5, 18, [8], colour=WHITE, align="R")

    def _draw_event(self) -> None:
        sheet = self._sheet
        side = "R" if runs_leftwards(sheet.title) else "L"
        below = self._write(sheet.title, MARGIN, 16, INNER, [21, 18, 15, 12.5, 11], lines=3, bold=True, align=side)
        below = max(below + 2, 31)
        if sheet.day:
            below = self._write(sheet.day, MARGIN, below, INNER, [11.5], bold=True, colour=self._accent)
            below = self._write(sheet.hours, MARGIN, below, INNER, [11.5, 10], bold=True, colour=self._accent)
        else:
            below = self._write("Date to be announced", MARGIN, below, INNER, [11.5], bold=True, colour=self._accent)
        below = self._write(sheet.zone, MARGIN, below + 0.2, INNER, [7], colour=FAINT)
        if sheet.doors:
            below = self._write(f"Doors {sheet.doors}", MARGIN, below + 0.4, INNER, [9], bold=True)
        column = (INNER - 6) / 2
        right = MARGIN + column + 6
        top = below + 3
        below = self._block("Venue", sheet.venue, MARGIN, top, column)
        self._write(sheet.address, MARGIN, below, column, [8, 7.5], lines=2, colour=FAINT)
        below = self._block("Section", sheet.section, right, top, column, lines=1)
        self._block("Holder", sheet.holder, right, below + 1.6, column)

    def _draw_tear(self) -> None:
        pdf = self._pdf
        pdf.set_draw_color(*FAINT)
        pdf.set_line_width(0.25)
        pdf.set_dash_pattern(dash=1.2, gap=1.4)
        pdf.line(5, TEAR, WIDTH - 5, TEAR)
        pdf.set_dash_pattern()
        pdf.set_fill_color(*self._accent)
        for centre in (0.0, WIDTH):
            pdf.circle(centre, TEAR, 2.6, style="F")

    def _draw_stub(self) -> None:
        pdf, sheet = self._pdf, self._sheet
        code = io.BytesIO(draw_code(sheet.payload, border=0))
        top = TEAR + 5.5
        pdf.image(code, MARGIN, top, w=CODE_MM, h=CODE_MM, alt_text=sheet.serial)
        left = MARGIN + CODE_MM + QUIET_MM
        width = WIDTH - MARGIN - left
        stem, _, rest = sheet.serial.partition("-")
        self._write("SERIAL", left, top, width, [6.5], colour=FAINT)
        below = self._write(f"{stem}-", left, top + 3.2, width, SERIAL_SIZES, bold=True)
        below = self._write(rest, left, below, width, SERIAL_SIZES, bold=True)
        below = self._write("Show this code at the gate. It opens once.", left, below + 1.5, width, [7], lines=3)
        side = "R" if runs_leftwards(sheet.disclaimer) else "L"
        self._write(sheet.disclaimer, left, below + 1.5, width, [6.5, 5.5], lines=8, colour=FAINT, align=side)

    def _block(self, label: str, text: str, x: float, y: float, width: float, *, lines: int = 2) -> float:
        """A labelled text; where it ends."""
        below = self._write(label.upper(), x, y, width, [6.5], colour=FAINT)
        return self._write(text, x, below, width, [10.5, 9, 8], lines=lines, bold=True)

    def _write(
        self,
        text: str,
        x: float,
        y: float,
        width: float,
        sizes: Sequence[float],
        *,
        lines: int = 1,
        bold: bool = False,
        colour: Colour = INK,
        align: str = "L",
    ) -> float:
        """Write the text where it fits; the y below it."""
        pdf = self._pdf
        text, size, cut = self._typesetter.set(text, width, sizes, lines, bold=bold)
        if not text:
            return y
        pdf.set_font(FAMILY, cut, size)
        pdf.set_text_color(*colour)
        pdf.set_xy(x, y)
        # fpdf2 loses the main font where the first letter is of another one; a space of its own comes first.
        pdf.cell(0, 0, " ", new_x=XPos.LEFT)
        with pdf.local_context(**self._stroke(size, colour) if bold and not cut else {}):
            height = size * _POINT * _LEADING
            pdf.multi_cell(width, height, text, align=align, new_x=XPos.LEFT, new_y=YPos.NEXT)
            return float(pdf.get_y())

    @staticmethod
    def _stroke(size: float, colour: Colour) -> dict[str, Any]:
        """What makes letters bold that have no bold cut."""
        return {
            "text_mode": TextMode.FILL_STROKE,
            "draw_color": DeviceRGB(*(level / 255 for level in colour)),
            "line_width": size * 0.035,
        }


def _accent(seed: str) -> Colour:
    """A dark colour, the same for the same seed; white is readable on it."""
    hue = int.from_bytes(sha256(seed.encode()).digest()[:2]) / 65536
    red, green, blue = hls_to_rgb(hue, 0.28, 0.55)
    return round(red * 255), round(green * 255), round(blue * 255)
