"""The reference at `/docs`: Swagger UI in our clothes, every byte of it served by us.

Mounted as `GET /docs` -> `page(...)` with `PAGE_HEADERS`, and `GET /docs/assets/{name}` -> `asset(name)` with
`ASSET_HEADERS`. Nothing is loaded from elsewhere, and the content security policy keeps it so.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

# Try-it calls go to our own origin only; Swagger UI styles elements inline, scripts it does not.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
PAGE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
)
# Each asset is asked for with a stamp of its content, so it may be kept for ever.
ASSET_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
)


class Asset(NamedTuple):
    """A file of the page, ready to send; `etag` is strong and in its quotes."""

    body: bytes
    content_type: str
    etag: str


def page(
    openapi_url: str,
    *,
    assets_url: str = "/docs/assets",
    title: str = "TickeTing REST API",
    client_version: str = "3.0.0",
) -> str:
    """The HTML of the reference for the document at `openapi_url`.

    Both URLs must be paths of our own origin: the policy would block anything else, so it is refused here.
    """
    for url in (openapi_url, assets_url):
        if not url.startswith("/") or url.startswith("//") or "\\" in url:
            raise ValueError(f"not a path of our own origin: {url!r}")

    def link(name: str) -> str:
        stamp = _files()[name].etag.strip('"')[:12]
        return escape(f"{assets_url}/{name}?v={stamp}")

    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<link rel="icon" type="image/svg+xml" href="{link("favicon.svg")}">
<style>@import url("{link("swagger-ui.css")}") layer(swagger);</style>
<link rel="stylesheet" href="{link("theme.css")}">
<script src="{link("theme.js")}"></script>
</head>
<body>
<header class="bar">
<a class="brand" href="#"><img src="{link("favicon.svg")}" alt="" width="34" height="34">
<span>Ticke<b>T</b>ing</span></a>
<span class="about">Every call here carries <code>X-Client-Version: {escape(client_version)}</code>;
Authorize adds <code>X-API-Key</code></span>
<a class="plain" href="{escape(openapi_url)}">OpenAPI</a>
<button id="theme" type="button" aria-label="Switch between light and dark"></button>
</header>
<div class="desk">
<nav id="contents" aria-label="Contents"></nav>
<main id="reference" data-openapi-url="{escape(openapi_url)}" data-client-version="{escape(client_version)}">
<noscript>This page needs JavaScript; without it, read <a href="{escape(openapi_url)}">OpenAPI</a>.</noscript>
</main>
</div>
<script src="{link("swagger-ui-bundle.js")}"></script>
<script src="{link("docs.js")}"></script>
</body>
</html>
"""


def asset(name: str) -> Asset | None:
    """The asset of this name as it is, or None.

    A look-up among the files we ship, never a path made from the name: there is nothing to traverse.
    """
    return _files().get(name)


def gzipped_asset(name: str) -> Asset | None:
    """The same asset for `Content-Encoding: gzip`, with its own ETag; None where that saves little."""
    return _gzipped_files().get(name)


_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@cache
def _files() -> dict[str, Asset]:
    """Everything under `assets/` by its name; what is stored as `NAME.gz` is known as NAME."""
    bodies: dict[str, bytes] = {}
    for path in sorted((Path(__file__).parent / "assets").rglob("*")):
        if path.is_file() and path.suffix == ".gz":
            bodies[path.stem] = gzip.decompress(path.read_bytes())
        elif path.is_file() and path.suffix in _CONTENT_TYPES:
            bodies[path.name] = path.read_bytes()
    return {name: _asset(name, body) for name, body in bodies.items()}


@cache
def _gzipped_files() -> dict[str, Asset]:
    stored = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "assets").glob("*.gz")}
    gzipped: dict[str, Asset] = {}
    for name, (body, *_) in _files().items():
        small = stored.get(name) or gzip.compress(body, 9, mtime=0)
        if len(small) < 0.8 * len(body):
            gzipped[name] = _asset(name, small)
    return gzipped


def _asset(name: str, body: bytes) -> Asset:
    return Asset(body, _CONTENT_TYPES[Path(name).suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
