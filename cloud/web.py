"""The console's files, the headers that protect them, and a page that says how to build them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>shopfloor</title>
<body style="font-family:system-ui;max-width:40em;margin:4em auto;line-height:1.5">
<h1>The cloud runs, its console is not built yet</h1>
<p>Run <code>make setup</code> in the repository, then start the cloud again.</p>
<p>在仓库中运行 <code>make setup</code>，然后重新启动。</p>
<p>The interface for programs works already: <a href="/api/v1/docs">/api/v1/docs</a>.</p>
</body></html>
"""

_NOT_FOUND: Final = """<!doctype html>
<html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · shopfloor</title><link rel="icon" href="/favicon.svg">
<style>
body{{display:grid;place-content:center;min-height:90vh;margin:0 1em;font:15px/1.5 system-ui,sans-serif;
color:#1d242b;background:#e6e9ec}}
main{{max-width:26em;padding:1.5em 2em;background:#f7f8f9;border:1px solid #d3d8dd;border-radius:6px}}
h1{{font-size:18px}}a{{color:#24609f}}small{{color:#626d78}}
@media(prefers-color-scheme:dark){{body{{color:#dde2e7;background:#121518}}main{{background:#1b1f23;border-color:#30363c}}
a{{color:#76aee4}}small{{color:#838e98}}}}
</style>
<main><small>404</small><h1>{title}</h1><p>{text}</p>
<p><a href="/">{plant}</a> · <a href="/api/v1/docs">{api}</a></p></main></html>
"""
_NOT_FOUND_WORDS: Final = {
    "en": {
        "lang": "en",
        "title": "There is nothing at this address",
        "text": "The address may be mistyped, or what was there has gone.",
        "plant": "To the plant",
        "api": "The interface for programs",
    },
    "zh": {
        "lang": "zh-CN",
        "title": "此地址没有内容",
        "text": "地址可能有误，或其内容已被移除。",
        "plant": "返回工厂",
        "api": "程序接口",
    },
}


def not_found(accept_language: str) -> str:
    """Return the page for an address that is none, in what of `accept_language` (as the header has it) comes first."""
    first = next((tag for tag in re.findall(r"[a-z]{2,}", accept_language.lower()) if tag in _NOT_FOUND_WORDS), "en")
    return _NOT_FOUND.format_map(_NOT_FOUND_WORDS[first])


PAGES: Final[list[str]] = orjson.loads(Path(__file__).with_name("pages.json").read_bytes())
"""The addresses that the console's router knows, as it writes them: `make golden` takes them from its pages."""
_PAGES: Final = [re.compile(re.sub(r":\w+", "[^/]+", re.sub(r"/:\w+\?", "(/[^/]+)?", page))) for page in PAGES]
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}
MIN_COMPRESSED: Final = 1024
"""Bytes of the shortest answer that is compressed."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ProtectiveHeaders:
    """Adds the headers that tell browsers to run, frame and leak nothing of ours elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class HashedFiles(StaticFiles):
    """Files whose names have a hash of what is in them: a browser never asks twice."""

    async def check_config(self) -> None:
        """Do without the folder: the console may be built while the cloud runs."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file that browsers keep."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class Compressed(GZipMiddleware):
    """Compresses answers, at the level that costs least: 5 ms of a core per MB; long ones in a thread.

    Not the live stream, whose events must not wait, nor what would hardly get shorter.
    """

    def __init__(self, app: ASGIApp) -> None:
        packed = ("application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")
        exclude = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *packed)
        super().__init__(app, minimum_size=MIN_COMPRESSED, compresslevel=1, exclude_content_types=exclude)


def is_page(path: str) -> bool:
    """Tell whether a path (without its first slash) is a page of the console."""
    return any(pattern.fullmatch("/" + path) for pattern in _PAGES)


def serve_console(app: FastAPI, folder: Path) -> None:
    """Serve the console: its files, and its page at each address that its own router knows; 404 everywhere else."""
    app.mount("/assets", HashedFiles(directory=folder / "assets", check_dir=False), name="assets")

    @app.get("/{page:path}", include_in_schema=False)
    def console(request: Request, page: str) -> Response:
        """Return the console, or a file beside it."""
        if is_page(page):
            index = folder / "index.html"
            if not index.is_file():
                return HTMLResponse(NOT_BUILT, status_code=503 if page else 200)
            return FileResponse(index, headers=_ASK_AGAIN)
        beside = {file.name: file for file in folder.iterdir() if file.is_file()} if folder.is_dir() else {}
        if page in beside:
            return FileResponse(beside[page], headers=_ASK_AGAIN)
        if not page.startswith("api/") and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(not_found(request.headers.get("accept-language", "")), status_code=404)
        raise HTTPException(404)
