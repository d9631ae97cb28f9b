"""Drawing QR codes. Loaded in the press's process alone."""

import io

import segno

QUIET_MODULES = 4  # white on all sides of the code, as the standard asks


def draw_code(payload: str, scale: int = 10, border: int = QUIET_MODULES) -> bytes:
    """The QR code as a PNG, `scale` pixels to a module; about a seventh of it may be unreadable."""
    out = io.BytesIO()
    segno.make_qr(payload, error="m").save(out, kind="png", scale=scale, border=border)
    return out.getvalue()
