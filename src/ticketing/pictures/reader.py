"""The process in which uploads are decoded, with a bound on its memory: `python -m ticketing.pictures.reader`.

A question is the kind of picture, a line's end, and the data URL; the answer is the type of what came of it, a line's
end, and its bytes.
"""

import contextlib

from ticketing.kit.child import answer_questions

from .decoding import Kind, PictureError, decode_upload

MODULE = "ticketing.pictures.reader"
MEMORY_BYTES = 384 * 1024 * 1024


def main() -> None:
    """Read pictures until told to end."""
    _bound_memory()
    answer_questions(_answer, told=PictureError)


def _answer(question: bytes) -> bytes:
    kind, _, url = question.partition(b"\n")
    wanted: Kind = "banner" if kind == b"banner" else "thumbnail"
    picture = decode_upload(url.decode("ascii"), kind=wanted)
    return picture.content_type.encode() + b"\n" + picture.body


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # where there is no such bound, the pixels' has to do
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
