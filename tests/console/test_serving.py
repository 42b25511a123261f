"""How the cloud hands out the console."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from cloud.web import serve_console


def test_a_console_that_is_built_while_the_cloud_runs_is_served(tmp_path: Path) -> None:
    app = FastAPI()
    serve_console(app, tmp_path / "dist")
    client = TestClient(app)
    assert client.get("/machines/cnc-01").status_code == 503
    assert client.get("/assets/index-abc.js").status_code == 404

    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
    (tmp_path / "dist" / "assets" / "index-abc.js").write_text("void 0;")
    page, script = client.get("/machines/cnc-01"), client.get("/assets/index-abc.js")
    assert (page.text, page.headers["Cache-Control"]) == ("<!doctype html>", "no-cache")
    assert "javascript" in script.headers["Content-Type"]
    assert "immutable" in script.headers["Cache-Control"]
    assert client.get("/assets/index-old.js").status_code == 404
