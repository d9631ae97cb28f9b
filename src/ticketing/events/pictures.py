"""Banners and thumbnails that travel in the bodies of events, as data URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ticketing.kit.database import Connection
from ticketing.pictures.decoding import Kind, Picture, PictureError
from ticketing.pictures.serving import read_upload, remove_upload, store_upload
from ticketing.web.operations import Call

from .schemas import PICTURES

KINDS: tuple[Kind, ...] = ("banner", "thumbnail")


@dataclass(slots=True)
class PictureChanges:
    """What a body says about an event's pictures; None takes one away. `faults` says of those that are none why."""

    wanted: dict[Kind, Picture | None] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


async def read_pictures(call: Call, body: Mapping[str, Any]) -> PictureChanges:
    """The pictures in the body, decoded; while no transaction is open, since it takes a second or more each."""
    changes = PictureChanges()
    for kind in KINDS:
        if kind in body:
            try:
                supplied = PICTURES[kind].is_supplied(body)
                changes.wanted[kind] = await read_upload(call, body[kind], kind) if supplied else None
            except PictureError as error:
                changes.faults[kind] = str(error)
    return changes


async def keep_pictures(db: Connection, event_id: int, changes: PictureChanges) -> None:
    """Write what the body said."""
    for kind, picture in changes.wanted.items():
        if picture is None:
            await remove_upload(db, event_id, kind)
        else:
            await store_upload(db, event_id, kind, picture)
