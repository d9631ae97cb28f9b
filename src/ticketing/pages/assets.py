"""Style sheet, scripts and other files that never change under their name, which carries a hash of what is in them."""

import gzip
import hashlib
import mimetypes
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static/"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".webmanifest": "application/manifest+json"}
_COMPRESSED = {".js", ".css", ".svg", ".wasm", ".webmanifest"}
# How one file names another: import "./clock.js", url("./a.svg"), new URL("./reader.wasm", ...).
_REFERENCE = re.compile(r"""(?P<quote>["'])(?P<name>\.{1,2}/[\w./-]+\.(?:js|css|svg|wasm|png|woff2))(?P=quote)""")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    url: str
    body: bytes
    compressed: bytes | None
    content_type: str


class Assets:
    """All files of `static/`, read once; each refers to the others by their hashed names."""

    def __init__(self, folder: Path = FOLDER, *, before: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._before = before or {}
        self._by_name: dict[str, Asset] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in {".txt", ".md", ".json"}:
                self._load(path.relative_to(folder).as_posix(), ())
        self._by_url = {asset.url: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        """Where a file is: `style.css` -> `/static/style.1a2b3c4d5e6f.css`. Raises KeyError."""
        return self._by_name[name].url

    def text(self, name: str) -> str:
        """What is in a file."""
        return self._by_name[name].body.decode()

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    async def serve(self, request: Request) -> Response:
        """Answer a request for one of them."""
        asset = self._by_url.get(request.url.path)
        if asset is None:
            return Response("Not found", 404, media_type="text/plain")
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        body = asset.body
        if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=asset.content_type)

    def _load(self, name: str, loading: tuple[str, ...]) -> Asset:
        if name in self._by_name:
            return self._by_name[name]
        if name in loading:
            raise ValueError(f"{' -> '.join([*loading, name])}: files that refer to each other in a circle")
        path = self._folder / name
        body = path.read_bytes()
        if path.suffix in {".js", ".css"}:
            text = self._before.get(name, "") + body.decode()
            near = name.rpartition("/")[0]
            body = _REFERENCE.sub(lambda found: self._renamed(found, near, (*loading, name)), text).encode()
        stamp = hashlib.sha256(body).hexdigest()[:12]
        stem, ending = name.removesuffix(path.suffix), path.suffix
        content_type = _TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        compressed = gzip.compress(body, 9, mtime=0) if ending in _COMPRESSED else None
        asset = Asset(f"{PREFIX}{stem}.{stamp}{ending}", body, compressed, content_type)
        self._by_name[name] = asset
        return asset

    def _renamed(self, found: "re.Match[str]", near: str, loading: tuple[str, ...]) -> str:
        """A reference by the name it is served under; one to no file of ours stays as it is."""
        name = posixpath.normpath(posixpath.join(near, found["name"]))
        if not (self._folder / name).is_file():
            return found[0]
        return f"{found['quote']}{self._load(name, loading).url}{found['quote']}"
