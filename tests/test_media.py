"""Uploads, friendly and hostile, and the pictures shown before there is one."""

import base64
import io
import struct
import time
import zlib

import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from ticketing.pictures.decoding import BOXES, MAX_BYTES, Picture, PictureError, decode_upload, placeholder


def data_url(body: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


def encoded(image: Image.Image, encoding: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, encoding, **options)
    return out.getvalue()


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.body))
    assert picture.content_type == f"image/{image.format.lower()}"
    image.load()
    return image


def near(pixel: tuple[int, ...], colour: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


RED, BLUE = (220, 30, 40), (20, 40, 200)


@pytest.mark.parametrize("declared", ["png", "jpeg", "jpg", "webp", "gif", "PNG"])
def test_each_format_is_taken(declared: str):
    encoding = declared.upper().replace("JPG", "JPEG")
    picture = decode_upload(data_url(encoded(Image.new("RGB", (300, 200), RED), encoding), declared), kind="banner")
    assert opened(picture).size == (300, 200)
    assert near(opened(picture).convert("RGB").getpixel((150, 100)), RED)
    assert picture.content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("banner", (3200, 1800), (1600, 900)),
        ("banner", (1000, 4000), (225, 900)),
        ("thumbnail", (1200, 600), (600, 300)),
        ("thumbnail", (40, 30), (40, 30)),
        ("banner", (20_000, 2), (1600, 1)),
    ],
)
def test_a_large_one_is_scaled_into_its_box_a_small_one_stays(
    kind: str, size: tuple[int, int], expected: tuple[int, int]
):
    picture = decode_upload(data_url(encoded(Image.new("RGB", size, RED), "PNG")), kind=kind)
    assert opened(picture).size == expected


def test_transparency_is_kept_as_png():
    image = Image.new("RGBA", (900, 900), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 450, 900))
    kept = opened(decode_upload(data_url(encoded(image, "WEBP"), "webp"), kind="thumbnail"))
    assert kept.format == "PNG"
    assert kept.size == (600, 600)
    assert kept.convert("RGBA").getpixel((500, 300))[3] == 0
    assert kept.convert("RGBA").getpixel((100, 300))[3] == 255


def test_a_photo_is_turned_upright_and_its_metadata_dropped():
    photo = Image.new("RGB", (400, 200), RED)
    photo.paste(BLUE, (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    exif[0x010E] = "at home"
    picture = decode_upload(data_url(encoded(photo, "JPEG", exif=exif, comment=b"secret"), "jpeg"), kind="banner")
    upright = opened(picture)
    assert upright.size == (200, 400)
    assert near(upright.getpixel((100, 50)), BLUE)
    assert near(upright.getpixel((100, 350)), RED)
    assert not upright.getexif()
    assert b"secret" not in picture.body
    assert b"at home" not in picture.body


def test_text_in_a_png_is_dropped():
    info = PngInfo()
    info.add_text("Author", "secret")
    for mode, colour in (("RGB", RED), ("RGBA", (*RED, 90))):
        body = encoded(Image.new(mode, (20, 20), colour), "PNG", pnginfo=info)
        assert b"secret" in body
        assert b"secret" not in decode_upload(data_url(body), kind="thumbnail").body


def test_a_profile_is_applied_and_dropped_and_a_broken_one_is_ignored():
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"not a profile"):
        body = encoded(Image.new("RGB", (20, 20), RED), "PNG", icc_profile=profile)
        shown = opened(decode_upload(data_url(body), kind="thumbnail"))
        assert near(shown.getpixel((10, 10)), RED)
        assert "icc_profile" not in shown.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_is_read(mode: str):
    image = (
        Image.new("I;16", (20, 20), 32_768) if mode == "I;16" else Image.new("RGB", (20, 20), (128,) * 3).convert(mode)
    )
    shown = opened(decode_upload(data_url(encoded(image, "PNG")), kind="thumbnail")).convert("RGB")
    assert mode in ("1", "P") or near(shown.getpixel((10, 10)), (128, 128, 128), by=3)


def test_cmyk_is_read():
    body = encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG")
    red, green, blue = opened(decode_upload(data_url(body, "jpeg"), kind="thumbnail")).getpixel((10, 10))
    assert red > 200
    assert green < 60
    assert blue < 60


def test_the_first_frame_of_an_animation_is_shown():
    frames = [Image.new("RGB", (30, 30), RED), Image.new("RGB", (30, 30), BLUE)]
    for encoding in ("GIF", "WEBP"):
        body = encoded(frames[0], encoding, save_all=True, append_images=frames[1:])
        assert near(opened(decode_upload(data_url(body, encoding.lower()), kind="thumbnail")).getpixel((15, 15)), RED)


def test_the_same_upload_has_the_same_etag():
    url = data_url(encoded(Image.new("RGB", (30, 30), RED), "PNG"))
    assert decode_upload(url, kind="banner") == decode_upload(url, kind="banner")
    assert decode_upload(url, kind="banner").etag.strip('"').isalnum()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(300, 200), (1600, 900)])
def test_noise_is_stored_like_any_picture(mode: str, size: tuple[int, int]):
    """Nothing is harder to compress."""
    channels = [Image.effect_noise(size, 200) for _ in mode]
    picture = decode_upload(data_url(encoded(Image.merge(mode, channels), "PNG", compress_level=1)), kind="banner")
    assert opened(picture).size == size


def test_photos_of_phones_are_taken_as_they_are():
    """Twelve megapixels in nearly ten MiB, and fifty; both lie on their side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for width, height, quality in ((4032, 3024, 92), (8160, 6120, 60)):
        noise = Image.effect_noise((width // 4, height // 4), 60).resize((width, height))
        body = encoded(Image.merge("RGB", [noise] * 3), "JPEG", quality=quality, exif=exif)
        assert len(body) < MAX_BYTES
        upright = opened(decode_upload(data_url(body, "jpeg"), kind="banner"))
        assert upright.size == (675, 900)


def test_a_picture_of_many_pixels_with_something_showing_through_is_kept():
    image = Image.new("RGBA", (2400, 2000), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 1200, 2000))
    kept = opened(decode_upload(data_url(encoded(image, "PNG")), kind="thumbnail")).convert("RGBA")
    assert kept.size == (600, 500)
    assert (kept.getpixel((100, 100))[3], kept.getpixel((500, 100))[3]) == (255, 0)


# --- hostile uploads

GOOD = encoded(Image.effect_noise((300, 300), 80).convert("RGB"), "PNG")
BLANKS = (data_url(encoded(Image.new("RGB", (side, 9)), "PNG")) for side in range(9, 99))
PADDED = next(url for url in BLANKS if url.endswith("="))


@pytest.mark.parametrize("value", [None, 7, True, b"data:", ["data:"], {"url": ""}, ""])
def test_what_is_not_text_is_refused(value: object):
    with pytest.raises(PictureError):
        decode_upload(value, kind="banner")


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/x.png",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png,abc",
        "data:text/html;base64,PGI+",
        "data:image/svg+xml;base64,"
        + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>").decode(),
        "data:image/png;base64,"
        + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>").decode(),
        "data:image/bmp;base64," + base64.b64encode(encoded(Image.new("RGB", (9, 9)), "BMP")).decode(),
        data_url(GOOD).replace(",", ",%20"),
        data_url(GOOD)[:-1] + "!",
        PADDED + "AAAA",
        data_url(GOOD)[:-3] + "é",
        data_url(GOOD).replace(",", ",\n", 1),
        " " + data_url(GOOD),
        data_url(GOOD).replace(";base64", ";charset=x;base64"),
    ],
)
def test_what_is_no_data_url_of_a_picture_is_refused(url: str):
    with pytest.raises(PictureError):
        decode_upload(url, kind="banner")


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_truncated_picture_is_refused(encoding: str, part: float):
    body = encoded(Image.effect_noise((300, 300), 80).convert("RGB"), encoding)
    with pytest.raises(PictureError):
        decode_upload(data_url(body[: int(len(body) * part)], encoding.lower()), kind="banner")


@pytest.mark.parametrize(("encoding", "declared"), [("PNG", "jpeg"), ("JPEG", "png"), ("GIF", "webp"), ("WEBP", "gif")])
def test_a_wrongly_declared_type_is_refused(encoding: str, declared: str):
    with pytest.raises(PictureError):
        decode_upload(data_url(encoded(Image.new("RGB", (9, 9)), encoding), declared), kind="banner")


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is this large; its pixels are one short zlib stream."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "size", [(4001, 4000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (0, 5)]
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]):
    began = time.perf_counter()
    with pytest.raises(PictureError):
        decode_upload(data_url(png_of(*size)), kind="banner")
    assert time.perf_counter() - began < 0.5


def test_a_jpeg_of_endless_scans_is_refused():
    body = encoded(Image.new("RGB", (600, 600), RED), "JPEG", progressive=True)
    scan = body.rindex(b"\xff\xda")
    with pytest.raises(PictureError):
        decode_upload(data_url(body[:-2] + body[scan:-2] * 5000 + body[-2:], "jpeg"), kind="banner")


def test_too_many_bytes_are_refused_without_decoding_them():
    for size in (MAX_BYTES + 1, 60_000_000):
        with pytest.raises(PictureError, match="larger than 10 MiB"):
            decode_upload("data:image/png;base64," + "A" * (4 * (size // 3 + 2)), kind="banner")


# --- placeholders


@pytest.mark.parametrize("kind", ["banner", "thumbnail"])
@pytest.mark.parametrize(
    "title",
    [
        None,
        "",
        "Jazz",
        "Une soirée d'été",
        "音楽の夜",
        "مهرجان",
        "x" * 5000,
        "a\nb\x00c",
        "Words " * 60,
        "\ud800",
    ],
)
def test_a_placeholder_is_small_and_always_the_same(kind: str, title: str | None):
    picture = placeholder(kind, "17325458293736", title)
    assert picture == placeholder(kind, "17325458293736", title)
    assert len(picture.body) < 40_000
    width, height = opened(picture).size
    assert width <= BOXES[kind][0]
    assert height <= BOXES[kind][1]


def test_each_event_has_a_placeholder_of_its_own():
    assert len({placeholder("thumbnail", str(17325458293736 + number)).etag for number in range(30)}) == 30


def test_a_title_is_written_where_the_font_has_its_letters():
    assert placeholder("banner", "1", "Jazz") != placeholder("banner", "1")
    assert placeholder("banner", "1", "音楽の夜") == placeholder("banner", "1")
