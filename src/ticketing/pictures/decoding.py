"""Pictures: what people upload, made safe, and what is shown before they do.

Everything here is pure CPU work. `decode_upload` may take seconds and hundreds of megabytes over what somebody sends:
`picture_reader` does it in a process of its own. `placeholder` is for a worker thread; Pillow lets go of the GIL.
"""

import binascii
import hashlib
import io
import re
from colorsys import hls_to_rgb
from functools import cache
from typing import Literal, NamedTuple

from PIL import Image, ImageCms, ImageDraw, ImageFile, ImageFont, ImageOps

Kind = Literal["banner", "thumbnail"]

# An upload is scaled down to fit, never up.
BOXES: dict[Kind, tuple[int, int]] = {"banner": (1600, 900), "thumbnail": (600, 600)}
MAX_BYTES = 10 * 1024 * 1024
# A JPEG is decoded at an eighth to the whole of its size, as is needed; anything else is held whole, 4 bytes a pixel.
MAX_PIXELS = {"JPEG": 64_000_000}
MAX_PIXELS_HELD = 16_000_000


class Picture(NamedTuple):
    """An image ready to send; `etag` is strong and in its quotes."""

    body: bytes
    content_type: str
    etag: str


class PictureError(ValueError):
    """An upload that is not a picture we take."""


def decode_upload(value: object, *, kind: Kind) -> Picture:
    """The picture in a data URL, decoded, verified, upright, scaled down and written anew without metadata.

    PNG, JPEG, WebP and GIF (its first frame) are taken. What is opaque becomes JPEG, the rest PNG: the URL of
    an image has no extension, and there are native clients that do not show WebP.
    Raises PictureError (a ValueError) for anything else, too large ones and decompression bombs included.
    """
    declared, data = _parse_data_url(value)
    if declared == "JPEG" and data.count(_JPEG_SCAN) > _MAX_JPEG_SCANS:
        raise PictureError("too many scans")
    try:
        with Image.open(io.BytesIO(data), formats=[declared]) as source:
            most = MAX_PIXELS.get(declared, MAX_PIXELS_HELD)
            if source.width * source.height > most:
                raise PictureError(f"more than {most // 1_000_000} million pixels")
            return _rewrite(source, kind)
    except PictureError:
        raise
    # Broken files make Pillow raise nearly anything: OSError, SyntaxError, struct.error, IndexError.
    except Exception as error:
        raise PictureError("not a picture we can read") from error


def placeholder(kind: Kind, seed: str, title: str | None = None) -> Picture:
    """The image of an event that has none: a ticket on a gradient; the same for the same arguments.

    JPEG, not SVG: native mobile clients show it too. It is 960 x 540 or 600 x 600, below 40 KB, made in about
    20 ms. `title` is written on the ticket where the font at hand has all its letters (ASCII): no words are
    better than boxes.
    """
    width, height = _PLACEHOLDER_SIZES[kind]
    numbers = hashlib.sha256(seed.encode()).digest()
    image = _gradient((width, height), numbers)
    for mask, strength in zip(_motif(kind, bool(numbers[5] & 1)), (34, 235), strict=True):
        image.paste((255, 255, 255), mask=mask.point([strength * level // 255 for level in range(256)]))
    _write_on_ticket(image, kind, title or "", ink=_colour(numbers, lightness=0.26, saturation=0.6))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, optimize=True)
    return picture_of(out.getvalue(), "image/jpeg")


# --- uploads

_DATA_URL = re.compile(r"data:image/(png|jpeg|jpg|webp|gif);base64", re.ASCII | re.IGNORECASE)
_JPEG_SCAN = b"\xff\xda"
# A progressive JPEG may repeat scans of a few bytes that each cost a pass over the whole image; real ones
# have about 10.
_MAX_JPEG_SCANS = 64
_MAX_PNG_BYTES = 1_000_000
_MANY_PIXELS = 4_000_000
_SHRUNK_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "CMYK")
_ORIENTATION = 0x0112


def ensure_data_url(value: object) -> str:
    """The value, when it may be a data URL of a size that we take. Raises PictureError."""
    if not isinstance(value, str):
        raise PictureError("not text")
    if len(value) > 64 + 4 * (MAX_BYTES // 3 + 1):
        raise PictureError("larger than 10 MiB")
    if not value.isascii():
        raise PictureError("not a data URL of a picture")
    return value


def _parse_data_url(value: object) -> tuple[str, bytes]:
    """The declared format, by Pillow's name, and the bytes of a data URL."""
    head, comma, body = ensure_data_url(value).partition(",")
    match = _DATA_URL.fullmatch(head)
    if not match or not comma:
        raise PictureError("not a data URL of a picture")
    try:
        data = binascii.a2b_base64(body, strict_mode=True)
    except ValueError as error:
        raise PictureError("not base64") from error
    if len(data) > MAX_BYTES:
        raise PictureError("larger than 10 MiB")
    return match[1].upper().replace("JPG", "JPEG"), data


def _rewrite(source: Image.Image, kind: Kind) -> Picture:
    profile, drawn = source.info.get("icc_profile"), source.format in ("PNG", "GIF")
    # A JPEG can be decoded at a half or less, which is much cheaper; a square, since it may yet be turned.
    longest = max(BOXES[kind])
    source.draft(None, (longest, longest))
    source.load()
    is_plain = source.mode in _SHRUNK_AS_THEY_ARE and "transparency" not in source.info
    if is_plain and source.width * source.height > _MANY_PIXELS:
        source.thumbnail((longest, longest), Image.Resampling.LANCZOS)  # before anything copies them
    image = _flat(_upright(source))
    image.thumbnail(BOXES[kind], Image.Resampling.LANCZOS)
    image = _in_srgb(image, profile)
    out = io.BytesIO()
    if image.mode == "RGB":
        image.info.clear()
        # Sharp edges of drawings and logos suffer from thinned-out colour; photos do not.
        # Pillow's own estimate of the encoder's buffer is too small for noise, and such pictures would be refused.
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 4 * image.width * image.height + 65_536)
        image.save(out, "JPEG", quality=86, optimize=True, progressive=True, subsampling=0 if drawn else 2)
        return picture_of(out.getvalue(), "image/jpeg")
    image.info.clear()
    image.save(out, "PNG", optimize=True)
    if out.tell() > _MAX_PNG_BYTES:
        out = io.BytesIO()
        image.quantize(256, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return picture_of(out.getvalue(), "image/png")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera says; EXIF nobody can read says nothing."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:
        return image
    return ImageOps.exif_transpose(image) if turned else image


def _flat(image: Image.Image) -> Image.Image:
    """As RGB, as RGBA where something shows through, or left in CMYK for its profile."""
    if image.mode.startswith("I"):
        # Sixteen bits; converting would cut off what is above 255 instead of scaling it.
        image = image.convert("I").point(lambda level: level * (1 / 256) + 0).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        opaque = image.getchannel("A").getextrema() == (255, 255)
        return image.convert("RGB") if opaque else image
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """In the colours every screen assumes: phones record wider ones, and the profile saying so is dropped."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, theirs, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None  # a profile that does not fit the picture is as good as none
        if converted is not None:
            return converted
    return image.convert(mode)


def picture_of(body: bytes, content_type: str) -> Picture:
    """The picture that these bytes are."""
    return Picture(body, content_type, f'"{hashlib.sha256(body).hexdigest()}"')


# --- placeholders

_PLACEHOLDER_SIZES: dict[Kind, tuple[int, int]] = {"banner": (960, 540), "thumbnail": (600, 600)}
_TILT = 8  # degrees, to the left
_PLAIN_MARKS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\xa0": " "})


def _colour(numbers: bytes, *, lightness: float, saturation: float, turn: float = 0.0) -> tuple[int, int, int]:
    # All round the wheel from green to orange; olive in between looks like mud.
    hue = ((100 + int.from_bytes(numbers[:2]) / 65536 * 290) / 360 + turn) % 1
    red, green, blue = hls_to_rgb(hue, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _gradient(size: tuple[int, int], numbers: bytes) -> Image.Image:
    """Four related colours, one to a corner, blended."""
    spread = 0.06 + numbers[2] / 255 * 0.12
    spread = -spread if numbers[3] & 1 else spread
    corners = [
        _colour(numbers, lightness=0.56, saturation=0.52),
        _colour(numbers, lightness=0.47, saturation=0.50, turn=spread / 2),
        _colour(numbers, lightness=0.40, saturation=0.48, turn=spread / 2),
        _colour(numbers, lightness=0.30, saturation=0.50, turn=spread),
    ]
    if numbers[4] & 1:
        corners = [corners[1], corners[0], corners[3], corners[2]]
    small = Image.new("RGB", (2, 2))
    small.putdata(corners)
    return small.resize(size, Image.Resampling.BICUBIC)


@cache
def _motif(kind: Kind, mirrored: bool) -> tuple[Image.Image, Image.Image]:
    """Where light falls, and where the ticket lies: drawn once for all events, doubled for smooth edges."""
    width, height = _PLACEHOLDER_SIZES[kind]
    big = (2 * width, 2 * height)
    light = Image.new("L", big)
    pen = ImageDraw.Draw(light)
    for x, y, radius in ((0.86, 0.10, 0.46), (0.04, 1.02, 0.58)):
        centre_x, r = x * big[0], radius * big[1]
        pen.circle((centre_x, y * big[1]), r, fill=150)
        pen.circle((centre_x, y * big[1]), r * 0.62, fill=255)
    ticket = _ticket((2 * _ticket_size(kind)[0], 2 * _ticket_size(kind)[1]))
    lying = Image.new("L", big)
    turned = ticket.rotate(_TILT, Image.Resampling.BICUBIC, expand=True)
    lying.paste(turned, ((big[0] - turned.width) // 2, (big[1] - turned.height) // 2))
    light = light.resize((width, height), Image.Resampling.LANCZOS)
    lying = lying.resize((width, height), Image.Resampling.LANCZOS)
    return ImageOps.mirror(light) if mirrored else light, lying


def _ticket_size(kind: Kind) -> tuple[int, int]:
    return (600, 256) if kind == "banner" else (430, 230)


def _ticket(size: tuple[int, int]) -> Image.Image:
    """A ticket with its two notches, and the holes along which the stub is torn off."""
    width, height = size
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=height // 9, fill=255)
    tear = round(width * 0.78)
    for edge in (0, height):
        pen.circle((tear, edge), height // 10, fill=0)
    for step in range(1, 12):
        y = height * (0.1 + 0.8 * step / 12)
        pen.circle((tear, y), height // 70, fill=0)
    stub = tear + (width - tear) // 2
    for step in range(7):
        bar = height * (0.26 + 0.075 * step)
        pen.rectangle(
            (stub - height // 12, bar, stub + height // 12, bar + height * (0.02 + 0.02 * (step % 3 == 1))),
            fill=0,
        )
    return mask


def _write_on_ticket(image: Image.Image, kind: Kind, title: str, ink: tuple[int, int, int]) -> None:
    width, height = _ticket_size(kind)
    page = Image.new("L", (width, height))
    pen = ImageDraw.Draw(page)
    left, room = round(width * 0.07), round(width * 0.64)
    lines, font = _fitted(title, room, kind)
    spacing = font.size * 1.16
    top = height / 2 - spacing * (len(lines) - 1) / 2
    for number, line in enumerate(lines):
        pen.text(
            (left, top + spacing * number),
            line,
            font=font,
            fill=255,
            anchor="lm",
            stroke_width=font.size / 60,
        )
    if not lines:
        for number, part in enumerate((0.8, 1.0, 0.55)):
            y, thick = height * (0.32 + 0.18 * number), height * 0.045
            pen.rounded_rectangle((left, y - thick, left + room * part, y + thick), radius=thick, fill=70)
    turned = page.rotate(_TILT, Image.Resampling.BICUBIC, expand=True)
    image.paste(ink, ((image.width - turned.width) // 2, (image.height - turned.height) // 2), turned)


def _fitted(title: str, room: int, kind: Kind) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """The title in at most three lines, in the largest letters that fit; no lines if we cannot write it."""
    sizes = (57, 47, 38, 30) if kind == "banner" else (46, 38, 32, 26)
    words = title[:200].translate(_PLAIN_MARKS).split()
    if not " ".join(words).isascii() or not "".join(words).isprintable():
        words = []
    for size in sizes:
        font = _font(size)
        lines = _wrapped(words, room, font)
        if len(lines) <= 3 and all(font.getlength(line) <= room for line in lines):
            return lines, font
    return [_shortened(line, room, font) for line in [*lines[:2], " ".join(lines[2:])] if line], font


def _wrapped(words: list[str], room: int, font: ImageFont.FreeTypeFont) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shortened(line: str, room: int, font: ImageFont.FreeTypeFont) -> str:
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(line + "...") > room:
        line = line[:-1]
    return line.rstrip() + "..."


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    return font
