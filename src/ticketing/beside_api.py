"""What is served beside the API: its description, the interactive docs, images, the public keys of tickets."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .api_docs import page
from .pictures import serving as media
from .tickets import key_page
from .web.operations import Services


def routes(description: bytes, services: Services, *, is_root: bool) -> list[BaseRoute]:
    """`/` where no pages stand there, and else:

    `/docs`, `/docs/assets/...`, `/media/...`, `/v3/openapi.json`, `/.well-known/ticketing-keys.json`.
    """

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type="application/json")

    return [
        Route("/v3/openapi.json", openapi),
        Route("/docs", _docs),
        Route("/docs/assets/{name}", _asset),
        *media.routes(services),
        *key_page.routes(services),
        *([Route("/", _root)] if is_root else []),
    ]


async def _root(_request: Request) -> Response:
    return RedirectResponse("/docs")


async def _docs(_request: Request) -> Response:
    html = page.page("/v3/openapi.json")
    return Response(html, headers=dict(page.PAGE_HEADERS), media_type="text/html; charset=utf-8")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    headers: dict[str, str] = dict(page.ASSET_HEADERS)
    asset: Any = page.asset(name)
    if asset is None:
        return Response(status_code=404)
    if "gzip" in request.headers.get("accept-encoding", "") and (smaller := page.gzipped_asset(name)):
        asset = smaller
        headers["content-encoding"] = "gzip"
    headers["etag"] = asset.etag
    headers["vary"] = "accept-encoding"
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers=headers, media_type=asset.content_type)
