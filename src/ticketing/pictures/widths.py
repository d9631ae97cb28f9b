"""Pictures of events in the widths that pages ask for, as WebP: made when first asked, kept for a while."""

import io
from collections import OrderedDict

from PIL import Image

from .decoding import Picture

WIDTHS = (480, 960, 1600)
QUALITY = 82
KEPT_BYTES = 24 * 1024 * 1024


class Widths:
    """The pictures that this process made narrower, up to KEPT_BYTES; the least lately asked for go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self._bytes = 0

    def find(self, etag: str, width: int) -> Picture | None:
        """The picture with this tag, if it was made so wide already."""
        found = self._kept.get((etag, width))
        if found is not None:
            self._kept.move_to_end((etag, width))
        return found

    def keep(self, etag: str, width: int, picture: Picture) -> None:
        """Remember one."""
        if (etag, width) in self._kept:
            return
        self._kept[etag, width] = picture
        self._bytes += len(picture.body)
        while self._bytes > KEPT_BYTES:
            _name, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.body)


def tag_of(etag: str, width: int) -> str:
    """The entity tag of a picture in a width."""
    return f'{etag[:-1]}-{width}"'


def base_tag(etag: str, width: int | None) -> str:
    """The tag of the picture that one of this width (None: as it is) was made of; "" where the tag is another's."""
    if width is None:
        return etag
    ending = f'-{width}"'
    return f'{etag.removesuffix(ending)}"' if etag.endswith(ending) else ""


def narrower(picture: Picture, width: int) -> Picture:
    """The picture at most so wide. It is one that we wrote ourselves, and so small enough to be read."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture.body)) as image:
        size = (width, round(image.height * width / image.width))
        shown = image.resize(size, Image.Resampling.LANCZOS) if image.width > width else image
        shown.save(out, "WEBP", quality=QUALITY, method=4)
    return Picture(out.getvalue(), "image/webp", tag_of(picture.etag, width))
