"""Where images are served, and serving them.

Images are meant to be public: every URL that an answer carries serves one to whoever asks, without a key, since
browsers and mail programs fetch them. That includes what was uploaded for a draft, to whoever knows or guesses its id.
A draft's title is kept: it stands on the picture of events that are listed only.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ticketing.countries import flags
from ticketing.kit import ids
from ticketing.kit.child import Child, ChildEnded, ChildFailed
from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.database_errors import UNREACHABLE
from ticketing.kit.overload import Overloaded
from ticketing.kit.threads import BoundedThreads
from ticketing.kit.turns import Asker
from ticketing.settings import Settings
from ticketing.web.addresses import network
from ticketing.web.errors import Busy, NotFound, Refusal
from ticketing.web.operations import Call, Services

from . import reader as picture_reader
from .decoding import (
    BOXES,
    Kind,
    Picture,
    PictureError,
    ensure_data_url,
    picture_of,
    placeholder,
)
from .widths import WIDTHS, Widths, base_tag, narrower, tag_of

DRAWING_THREADS = 2
DRAWINGS_WAITING = 16
DRAWING_SECONDS = 5.0
READING_WAITING = 8
READING_SECONDS = 8.0  # in all
PICTURE_SECONDS = 5.0  # of a processor, for one; 50 megapixels of a phone take one
PICTURES_BEFORE_NEW = 1  # what one left behind in memory is not the next one's to answer for
PLACEHOLDERS_KEPT = 128  # of at most 40 KB

FLAG_HEADERS = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
EVENT_HEADERS = {"Cache-Control": "public, max-age=60", "X-Content-Type-Options": "nosniff"}


def media_url(call: Call) -> str:
    """The absolute URL that image names are appended to: the setting, or `/media` of the host that was asked."""
    configured = call.the(Settings).media_url
    if configured:
        return configured.rstrip("/")
    return f"{call.scope['scheme']}://{call.header('host') or 'localhost'}/media"


async def read_upload(call: Call, value: object, kind: Kind) -> Picture:
    """The picture in a data URL, verified and written anew; before any transaction, since it takes a second or more.

    Raises PictureError (pictures.decoding) for anything that is not one, Overloaded when too many wait.
    """
    return await call.the(Pictures).decode(value, kind, call.asker)


async def store_upload(db: Connection, event_id: int, kind: Kind, picture: Picture) -> None:
    """Keep the picture of an event in place of the one before."""
    await db.execute(
        "INSERT INTO event_images (event_id, kind, content_type, etag, content) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (event_id, kind) DO UPDATE SET content_type = $3, etag = $4, content = $5",
        event_id,
        kind,
        picture.content_type,
        picture.etag,
        picture.body,
    )


async def remove_upload(db: Connection, event_id: int, kind: Kind) -> None:
    """Go back to the picture we draw."""
    await db.execute("DELETE FROM event_images WHERE event_id = $1 AND kind = $2", event_id, kind)


class Pictures:
    """Where a process draws and, in another beside it, has uploads read; and what it drew lately.

    Uploads are read one after the other, by turns: nobody's second is before another's first.
    """

    def __init__(self) -> None:
        self._threads = BoundedThreads(
            "pictures", threads=DRAWING_THREADS, waiting=DRAWINGS_WAITING, seconds=DRAWING_SECONDS
        )
        self._reader = Child(
            picture_reader.MODULE,
            seconds=PICTURE_SECONDS,
            patience_seconds=READING_SECONDS,  # nobody waits longer
            uses=PICTURES_BEFORE_NEW,
        )
        self._reading = BoundedThreads("uploads", threads=1, waiting=READING_WAITING, seconds=READING_SECONDS)
        self._widths = Widths()
        self._drawn: OrderedDict[tuple[Kind, str, str], Picture] = OrderedDict()

    async def decode(self, value: object, kind: Kind, asker: Asker = ()) -> Picture:
        """The picture in a data URL. Raises PictureError, Overloaded."""
        url = ensure_data_url(value)
        return await self._reading.run(lambda: self._read(url, kind), asker=asker)

    def _read(self, url: str, kind: Kind) -> Picture:
        try:
            content_type, _, body = self._reader.ask(kind + "\n", url).partition(b"\n")
        except ChildEnded:
            raise PictureError("not a picture we can read") from None  # it took more than a process may have
        except ChildFailed as error:
            if isinstance(error, Overloaded):
                raise
            raise PictureError(str(error)) from None
        return picture_of(body, content_type.decode())

    async def draw(self, kind: Kind, seed: str, title: str, asker: Asker = ()) -> Picture:
        """The picture of an event that has none. Raises Overloaded."""
        wanted = (kind, seed, title)
        if drawn := self._drawn.get(wanted):
            self._drawn.move_to_end(wanted)
            return drawn
        drawn = await self._threads.run(lambda: placeholder(kind, seed, title), asker=asker)
        self._drawn[wanted] = drawn
        if len(self._drawn) > PLACEHOLDERS_KEPT:
            self._drawn.popitem(last=False)
        return drawn

    async def narrow(self, picture: Picture, width: int, asker: Asker = ()) -> Picture:
        """The picture at most so wide, as WebP; without its body where the client has it. Raises Overloaded."""
        if found := self._widths.find(picture.etag, width):
            return found
        if not picture.body:  # the database was told which copy the client has, and it has this one
            return Picture(b"", "image/webp", tag_of(picture.etag, width))
        made = await self._threads.run(lambda: narrower(picture, width), asker=asker)
        self._widths.keep(picture.etag, width, made)
        return made

    def close(self) -> None:
        """Let the threads end, and the process beside."""
        self._threads.close()
        self._reader.close()
        self._reading.close()


# --- serving


def routes(services: Services) -> list[BaseRoute]:
    """`/media/{country}.png`, `/media/banner/{event}` and `thumbnail`, `/media/aside/{submission}/{kind}`.

    Those of events in a width of WIDTHS where `?width=` asks for one.
    """

    def of_events(kind: Kind) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            try:
                return await _event_picture(services, request, kind)
            except (Overloaded, Refusal) as refusal:
                return _refused(refusal)

        return serve

    async def serve_aside(request: Request) -> Response:
        try:
            return await _picture_aside(services, request)
        except (Overloaded, Refusal) as refusal:
            return _refused(refusal)

    return [
        Route("/media/banner/{event}", of_events("banner")),
        Route("/media/thumbnail/{event}", of_events("thumbnail")),
        Route("/media/aside/{submission}/{kind}", serve_aside),
        Route("/media/{name}", _flag),
    ]


def _refused(refusal: Overloaded | Refusal) -> Response:
    if isinstance(refusal, Overloaded):
        refusal = Busy(refusal.seconds)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers)


async def _flag(request: Request) -> Response:
    body = flags.icon(request.path_params["name"])
    if body is None:
        return JSONResponse(NotFound().body(), 404)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _answer(request, Picture(body, flags.CONTENT_TYPE, etag), FLAG_HEADERS)


_FIND = """
SELECT CASE WHEN event.status = 'Listed' THEN event.title ELSE '' END AS title,
       image.content_type, image.etag, CASE WHEN image.etag = $3 THEN ''::bytea ELSE image.content END AS content
  FROM events event LEFT JOIN event_images image ON image.event_id = event.id AND image.kind = $2
 WHERE event.id = $1 AND event.removed_at IS NULL
"""


# Of a change that waits for a decision.
_FIND_ASIDE = """
SELECT submission.event_id, '' AS title, image.content_type, image.etag,
       CASE WHEN image.etag = $3 THEN ''::bytea ELSE image.content END AS content
  FROM submission_images image JOIN submissions submission ON submission.id = image.submission_id
 WHERE image.submission_id = $1 AND image.kind = $2 AND submission.status = 'Pending'
"""


async def _event_picture(services: Services, request: Request, kind: Kind) -> Response:
    event_id = ids.parse(request.path_params["event"])
    return await _show(services, request, kind, await _find(services, request, _FIND, event_id, kind), event_id)


async def _picture_aside(services: Services, request: Request) -> Response:
    kind = request.path_params["kind"]
    if kind not in BOXES:
        raise NotFound
    row = await _find(services, request, _FIND_ASIDE, ids.parse(request.path_params["submission"]), kind)
    return await _show(services, request, kind, row, row["event_id"])


async def _find(services: Services, request: Request, statement: str, thing: int | None, kind: Kind) -> Row:
    try:
        async with services.the(Database).reading() as db:
            row = await db.fetchrow(statement, thing, kind, base_tag(_known(request), _wanted_width(request)))
    except UNREACHABLE:
        raise Busy(2) from None
    if row is None:
        raise NotFound
    return row


async def _show(services: Services, request: Request, kind: Kind, row: Row, event_id: int | None) -> Response:
    asker = (network(request.client.host),) if request.client else ()
    if row["etag"] is not None:
        picture = Picture(row["content"], row["content_type"], row["etag"])
    else:
        picture = await services.the(Pictures).draw(kind, str(event_id), row["title"], asker)
    if (width := _wanted_width(request)) is not None:
        picture = await services.the(Pictures).narrow(picture, width, asker)
    return _answer(request, picture, EVENT_HEADERS)


def _wanted_width(request: Request) -> int | None:
    """`?width=`: one of WIDTHS; whatever else stands there asks for the picture as it is."""
    text = request.query_params.get("width", "")
    return int(text) if text in {str(width) for width in WIDTHS} else None


def _answer(request: Request, picture: Picture, headers: dict[str, str]) -> Response:
    headers = {**headers, "ETag": picture.etag}
    if _known(request) == picture.etag:
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        headers["Content-Length"] = str(len(picture.body))
        return Response(headers=headers, media_type=picture.content_type)
    return Response(picture.body, headers=headers, media_type=picture.content_type)


def _known(request: Request) -> str:
    """The entity tag of the copy the client has; browsers send one."""
    sent = request.headers.get("if-none-match", "").removeprefix("W/")
    return sent if len(sent) < 100 and "\x00" not in sent else ""
