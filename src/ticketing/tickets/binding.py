"""Putting the parts of an order's file together. Loaded in the press's process alone."""

import io
from collections.abc import Sequence
from typing import Any, cast

from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, NumberObject


def bind_pdf(parts: Sequence[bytes]) -> bytes:
    """One file of the pages of all; what is the same in several, fonts above all, is in it once."""
    readers = [PdfReader(io.BytesIO(part)) for part in parts]
    writer = PdfWriter(clone_from=readers[0])
    for reader in readers[1:]:
        _append(writer, reader)
    if len({reader.metadata and reader.metadata.title for reader in readers}) > 1:
        writer.add_metadata({"/Title": "Tickets"})
    writer.compress_identical_objects()
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _append(writer: PdfWriter, reader: PdfReader) -> None:
    """Add the pages, and what is read of their pictures to those who cannot see them: pypdf leaves that out."""
    before = len(writer.pages)
    writer.append(reader, import_outline=False)
    tree = cast("Any", writer.root_object["/StructTreeRoot"])
    added = cast("Any", reader.root_object["/StructTreeRoot"]).clone(writer)
    for document in added["/K"]:
        document.get_object()[NameObject("/P")] = tree.indirect_reference
        tree["/K"].append(document)
    for page, source in zip(writer.pages[before:], reader.pages, strict=True):
        page[NameObject("/StructParents")] = NumberObject(cast("int", source["/StructParents"]) + before)
    for one in added["/ParentTree"]["/Nums"]:  # a page's number, and what belongs to it
        tree["/ParentTree"]["/Nums"].append(NumberObject(one + before) if isinstance(one, int) else one)
