"""The console's files, the headers that protect them, and a page that says how to build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
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


def serve_console(app: FastAPI, folder: Path) -> None:
    """Let every address outside of /api be a page of the console: its own router tells them apart."""
    app.mount("/assets", HashedFiles(directory=folder / "assets", check_dir=False), name="assets")

    @app.get("/{page:path}", include_in_schema=False)
    def console(page: str) -> Response:
        """Return the console, or a file beside it."""
        index = folder / "index.html"
        if page.startswith("api/"):
            raise HTTPException(404)
        if not index.is_file():
            return HTMLResponse(NOT_BUILT, status_code=503 if page else 200)
        beside = folder / page
        is_file = page and "/" not in page and beside.is_file()
        return FileResponse(beside if is_file else index, headers={"Cache-Control": "no-cache"})
