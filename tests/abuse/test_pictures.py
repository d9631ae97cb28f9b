"""Uploads that are small to send and large to decode."""

import base64
import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from PIL import Image

from arena import Arena, Bystander, under_way
from makers import make_event
from ticketing.pictures.reader import MEMORY_BYTES

UPLOADS = [6, pytest.param(60, marks=pytest.mark.heavy)]


def url(body: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


def encoded(image: Image.Image, encoding: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, encoding, **options)
    return out.getvalue()


def hostile() -> list[tuple[str, bool]]:
    """Data URLs, and whether they are pictures all the same."""
    dark = Image.new("RGB", (5000, 5000))
    frames = [Image.new("P", (1000, 1000), number % 250) for number in range(300)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with_profile = encoded(Image.new("RGB", (9, 9)), "PNG", icc_profile=b"\x00" * 4_000_000)
    with_exif = encoded(
        Image.new("RGB", (9, 9)), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08" + b"\xff" * 60_000
    )
    return [
        (url(encoded(dark, "WEBP", lossless=True), "webp"), False),  # 25 million pixels in a thousand bytes
        (url(encoded(dark.crop((0, 0, 4000, 4000)), "WEBP", lossless=True), "webp"), True),
        (url(encoded(dark.crop((0, 0, 4000, 4000)), "PNG"), "png"), True),
        (url(bomb(), "png"), False),
        (url(animated, "gif"), True),
        (url(encoded(dark, "JPEG", progressive=True), "jpeg"), True),
        (url(encoded(dark, "JPEG")[:-40_000], "jpeg"), False),
        (url(with_profile, "png"), False),
        (url(with_exif, "jpeg"), True),
    ]


def bomb() -> bytes:
    """A PNG whose description unpacks to a gigabyte."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    text = chunk(b"iCCP", b"x\x00\x00" + packed) + chunk(b"zTXt", b"Comment\x00\x00" + packed)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def readers() -> Iterator[psutil.Process]:
    for process in psutil.Process().children(recursive=True):
        try:
            if "ticketing.pictures.reader" in process.cmdline():
                yield process
        except psutil.NoSuchProcess:
            pass


@pytest.mark.parametrize("uploads", UPLOADS)
async def test_large_pictures_cost_nobody_memory_or_time(place: Arena, bystander: Bystander, uploads: int) -> None:
    administrator, runner = await place.person("admin", "administrator"), await place.person("runner")
    event = await make_event(runner, administrator)
    del event["thumbnail"]
    unchanged = {**event, "venue": event["venue"]["self"], "category": event["category"]["self"]}
    bodies = hostile()
    turns = itertools.cycle(bodies)
    sent = itertools.count(1)

    async def upload() -> None:
        picture, is_sound = next(turns)
        answer = await runner.put(event["self"], unchanged | {"banner": picture})
        # Who sends many at once may be told to come back.
        if answer.status not in (503, 200 if is_sound else 400):
            raise AssertionError((len(picture), answer.body))
        assert max((one.memory_info().rss for one in readers()), default=0) < MEMORY_BYTES + 100 * 1024 * 1024

    await place.ensure_unnoticed(bystander, lambda: under_way(upload, upload, upload), rounds=6)
    while next(sent) < uploads:
        await upload()
    place.ensure_small()
    for picture, is_sound in bodies:
        answer = await runner.put(event["self"], unchanged | {"banner": picture})
        assert answer.status == (200 if is_sound else 400), answer.body
    place.ensure_small()


async def test_a_photo_of_ten_mebibytes_goes_through_the_door(place: Arena) -> None:
    """As it came from a phone: 12 megapixels, in a body that also says the rest."""
    administrator, runner = await place.person("admin", "administrator"), await place.person("runner")
    noise = Image.effect_noise((2016, 1512), 90).resize((4032, 3024))
    for quality in (95, 90, 80):
        photo = encoded(Image.merge("RGB", [noise] * 3), "JPEG", quality=quality)
        if len(photo) < 10 * 1024 * 1024:
            break
    event = await make_event(runner, administrator, banner=url(photo, "jpeg"))
    answer = await place.http.get(event["banner"])
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (1200, 900)
    place.ensure_small()
