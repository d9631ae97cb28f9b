"""The reference page: everything from our own origin, nothing but our assets."""

import gzip
import hashlib
import re

import pytest

from ticketing.api_docs.page import (
    ASSET_HEADERS,
    CONTENT_SECURITY_POLICY,
    PAGE_HEADERS,
    asset,
    gzipped_asset,
    page,
)

OURS = [
    "favicon.svg",
    "logo.svg",
    "swagger-ui-bundle.js",
    "swagger-ui.css",
    "theme.css",
    "theme.js",
    "docs.js",
]


def test_the_page_loads_nothing_from_elsewhere():
    html = page("/v3/openapi.json")
    assert not re.findall(r"(?:https?:)?//[a-z]", html)
    loaded = re.findall(r'(?:src|href|url)[=(]"([^"]+)"', html)
    assert all(url.startswith(("/docs/assets/", "/v3/openapi.json", "#")) for url in loaded)
    for url in (url for url in loaded if url.startswith("/docs/assets/")):
        name, stamp = re.fullmatch(r"/docs/assets/([^?]+)\?v=([0-9a-f]{12})", url).groups()
        assert asset(name).etag.startswith(f'"{stamp}')


@pytest.mark.parametrize("name", ["favicon.svg", "logo.svg", "theme.css", "theme.js", "docs.js"])
def test_our_assets_load_nothing_from_elsewhere(name: str):
    text = asset(name).body.decode().replace("http://www.w3.org/2000/svg", "")
    assert "//" not in re.sub(r"(?m)(^|\s)// .*$", "", text)


def test_swagger_ui_styles_load_nothing():
    styles = asset("swagger-ui.css").body.decode()
    assert "@import" not in styles
    assert "@font-face" not in styles
    assert all(url.startswith(("data:", '"data:')) for url in re.findall(r"url\(([^)]{0,20})", styles))


def test_the_policy_forbids_foreign_requests_and_inline_scripts():
    assert "script-src 'self';" in CONTENT_SECURITY_POLICY
    assert "connect-src 'self';" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY in page("/v3/openapi.json")
    assert PAGE_HEADERS["Content-Security-Policy"].startswith(CONTENT_SECURITY_POLICY)
    assert not re.search(r"<script(?![^>]* src=)", page("/v3/openapi.json"))
    assert ASSET_HEADERS["Vary"] == "Accept-Encoding"


def test_the_page_names_the_client_version_it_sends():
    html = page("/v3/openapi.json", client_version="3.1.0")
    assert 'data-client-version="3.1.0"' in html
    assert "X-Client-Version: 3.1.0" in html


def test_what_is_passed_in_is_escaped():
    html = page('/v3/"><script>', title="<script>", client_version='"><script>')
    assert "<script>" not in html


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.test/openapi.json", "//elsewhere.test/x", "/\\elsewhere.test", "openapi.json", ""],
)
def test_a_url_of_another_origin_is_refused(url: str):
    with pytest.raises(ValueError, match="own origin"):
        page(url)
    with pytest.raises(ValueError, match="own origin"):
        page("/v3/openapi.json", assets_url=url)


@pytest.mark.parametrize("name", OURS)
def test_an_asset_has_a_type_and_an_etag(name: str):
    body, content_type, etag = asset(name)
    assert body
    assert content_type.split(";")[0] in ("image/svg+xml", "text/javascript", "text/css")
    assert etag == f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    assert asset(name).body is body


@pytest.mark.parametrize("name", OURS)
def test_a_gzipped_asset_is_the_same_and_smaller(name: str):
    small = gzipped_asset(name)
    assert gzip.decompress(small.body) == asset(name).body
    assert len(small.body) < len(asset(name).body)
    assert small.etag != asset(name).etag
    assert small.content_type == asset(name).content_type


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../page.py",
        "..%2fpage.py",
        "/etc/passwd",
        "licences/../docs.js",
        "docs.js/",
        "docs.js\x00",
        "DOCS.JS",
        "page.py",
        "swagger-ui.css.gz",
        "..\\page.py",
    ],
)
def test_nothing_else_is_an_asset(name: str):
    assert asset(name) is None
    assert gzipped_asset(name) is None


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("swagger-ui-bundle.js", "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2"),
        ("swagger-ui.css", "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d"),
    ],
)
def test_swagger_ui_is_that_of_npm_5_35_0(name: str, digest: str):
    assert hashlib.sha256(asset(name).body).hexdigest() == digest


def test_the_licence_of_swagger_ui_comes_with_it():
    assert b"Apache License" in asset("swagger-ui-LICENSE.txt").body
    assert b"SmartBear" in asset("swagger-ui-NOTICE.txt").body
