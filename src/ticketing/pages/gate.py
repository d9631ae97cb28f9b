"""The gate: a page that becomes a scanner. What it does at the door happens in the browser, against the API."""

import json

from starlette.responses import Response

from .frame import Pages, frame_of, show
from .visits import Visit

pages = Pages()

# The scanner decodes codes in WebAssembly, and nothing else does.
POLICY = {"script-src": "'wasm-unsafe-eval'"}
SHELL = (
    "style.css",
    "gate.css",
    "gate.js",
    "gate-store.js",
    "gate-tickets.js",
    "gate-camera.js",
    "icon.svg",
    "vendor/zxing/reader/index.js",
    "vendor/zxing/share.js",
    "vendor/zxing/zxing_reader.wasm",
)


@pages("GET /gate")
async def gate_page(visit: Visit) -> Response:
    """The scanner."""
    response = await show(visit, "gate.html", policy=POLICY, visitors_key=visit.site.visitors_key)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@pages("GET /gate-worker.js")
async def gate_worker(visit: Visit) -> Response:
    """The service worker that keeps the scanner without a network."""
    assets = frame_of(visit).assets
    files = json.dumps([assets.url(name) for name in SHELL])
    body = f"const FILES = {files};\n{assets.text('gate-worker.js')}"
    return Response(
        body, media_type="text/javascript", headers={"Cache-Control": "no-cache", "Service-Worker-Allowed": "/gate"}
    )


@pages("GET /gate.webmanifest")
async def gate_manifest(visit: Visit) -> Response:
    """What lets the scanner be put on a home screen."""
    manifest = {
        "name": f"{visit.site.name} {visit.language.say('Gate')}",
        "short_name": visit.language.say("Gate"),
        "start_url": "/gate",
        "scope": "/gate",
        "display": "standalone",
        "background_color": "#141519",
        "theme_color": visit.site.accent,
        "icons": [{"src": frame_of(visit).assets.url("icon.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    return Response(json.dumps(manifest), media_type="application/manifest+json")
