"""An error of our own in any kind of handler: the log says what and where, and no variable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
import httpx2, uvicorn
from fastapi import Depends
from fastapi.responses import StreamingResponse
from cloud.app import create_app
from cloud.parts import build_parts, close_parts
from cloud.settings import Settings
from contract import log
from sqlalchemy import text
from starlette.background import BackgroundTask
from starlette.responses import Response

log.configure("cloud")
settings = Settings()
parts = build_parts(settings)
app = create_app(settings, parts)

def leak():
    password = "hunter" + "2"
    raise ValueError("what it says")

async def leak_soon():
    leak()

async def leak_in_a_stream():
    yield b"begun"
    leak()

def leak_to_the_database():
    with parts.sessions() as db:
        db.execute(text("INSERT INTO users (username) VALUES (:secret)"), {"secret": "hunter" + "2"})

app.router.routes.pop()  # the console's
app.get("/sync")(lambda: leak())
app.get("/async")(leak_soon)
app.get("/needs", dependencies=[Depends(leak)])(lambda: None)
app.get("/stream")(lambda: StreamingResponse(leak_in_a_stream()))
app.get("/after")(lambda: Response(background=BackgroundTask(leak)))
app.get("/database")(leak_to_the_database)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        threading.Thread(target=ask, args=(self,)).start()

def ask(server):
    address = "http://127.0.0.1:%d" % server.servers[0].sockets[0].getsockname()[1]
    for path in ("sync", "async", "needs", "stream", "after", "database"):
        try:
            httpx2.get(f"{address}/{path}", trust_env=False, headers={"Authorization": "Bearer hunter" + "2"})
        except httpx2.HTTPError:
            pass
    server.should_exit = True

Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off")).run()
close_parts(parts)
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_handler_logs_the_value_of_a_variable(tmp_path: Path, database_url: str) -> None:
    environ = os.environ | {"SHOPFLOOR_HOME": str(tmp_path), "SHOPFLOOR_DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=True, timeout=100
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    errors = [line for line in lines if line["level"] == "error"]
    assert [line["event"] for line in errors] == ["Exception in ASGI application"] * 6
    assert [line["exception"].partition(" (")[0] for line in errors[:5]] == ["ValueError: what it says"] * 5
    assert all(" leak ← " in line["exception"] for line in errors[:5])
    assert "NOT NULL constraint failed" in errors[5]["exception"]
    assert "hunter2" not in done.stdout + done.stderr
    assert max(len(line) for line in done.stderr.splitlines()) < 1500
