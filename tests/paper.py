"""Printed tickets: a page to print, and what people and scanners read on it."""

import pypdfium2
import zxingcpp
from PIL import Image

from ticketing.tickets.sheets import Sheet

PRINTER_DPI = 150


def pages(pdf: bytes, *, dpi: float = PRINTER_DPI) -> list[Image.Image]:
    """The pages of the file, drawn as a printer or a screen would."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=dpi / 72).to_pil() for page in document]


def texts(pdf: bytes) -> list[str]:
    """The text of each page, line breaks as spaces."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def read_code(picture: Image.Image) -> str:
    """What a scanner reads in the picture, which must hold one code."""
    (found,) = zxingcpp.read_barcodes(picture)
    return found.text


def sheet(**members: str) -> Sheet:
    """A page about the usual evening."""
    usual = {
        "serial": "DAWIER-BACK75580348",
        "payload": f"TK1.ABCDEFGH.DAWIER-BACK75580348.17325458293736.2033323200.{'A' * 103}",
        "seed": "17325458293736",
        "title": "Dawn of the Seven Premier",
        "host": "Caribbean Film Nights",
        "section": "Backstage",
        "holder": "Alice Joseph",
        "venue": "Lake Cultural Centre",
        "address": "Queen Elizabeth Highway",
        "day": "Wednesday 7 June 2034",
        "hours": "20:00 to 23:00",
        "zone": "America/Antigua (UTC-04:00)",
        "disclaimer": "No refunds.",
    }
    return Sheet(**usual | members)
