"""How the cloud hands out the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from cloud.app import create_app
from cloud.parts import build_parts, close_parts
from cloud.settings import Settings
from cloud.web import PAGES, serve_console

SOURCES = Path(__file__).parents[2] / "cloud" / "console" / "src"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def console(tmp_path: Path) -> Iterator[TestClient]:
    """A cloud with a console that is built."""
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
    (tmp_path / "dist" / "favicon.svg").write_text("<svg/>")
    (tmp_path / "dist" / "assets" / "index-abc.js").write_text("void 0;" * 1000)
    parts = build_parts(Settings(home=tmp_path, console=tmp_path / "dist"))
    yield TestClient(create_app(parts.settings, parts))
    close_parts(parts)


def router_pages() -> Iterator[str]:
    """Give the addresses of the console's pages, but the one that stands for all others."""
    for page in SOURCES.glob("pages/*/page.ts"):
        (route,) = re.findall(r'^  route: "([^"]+)"', page.read_text(), re.MULTILINE)
        if not route.startswith("/:"):
            yield route


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


def test_every_page_of_the_router_is_served(console: TestClient) -> None:
    assert sorted(router_pages()) == PAGES
    for page in PAGES:
        answer = console.get(page.replace(":id", "cnc-01") + "?range=live:10m", headers=HTML)
        assert (answer.status_code, answer.text) == (200, "<!doctype html>"), page
    assert console.get("/favicon.svg").text == "<svg/>"


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/machines", "/machines/a/b", "/nothing", "/.env", "/" + 300 * "a"]
)
def test_other_addresses_are_not_found(console: TestClient, path: str) -> None:
    page, problem = console.get(path, headers=HTML), console.get(path)
    assert (page.status_code, problem.status_code) == (404, 404)
    assert "There is nothing at this address" in page.text
    assert "/api/v1/docs" in page.text
    assert problem.json()["code"] == "unknown_address"


@pytest.mark.parametrize(
    ("languages", "words"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "此地址没有内容"),
        ("en-US,en;q=0.9,zh;q=0.5", "There is nothing"),
        ("de,zh;q=0.5", "此地址没有内容"),
        ("de", "There is nothing"),
        ("", "There is nothing"),
    ],
)
def test_an_address_that_is_none_says_so_in_the_language_of_the_browser(
    console: TestClient, languages: str, words: str
) -> None:
    assert words in console.get("/nothing", headers=HTML | {"Accept-Language": languages}).text


def test_the_documentation_reads_as_text_and_leads_back(console: TestClient) -> None:
    text = console.get("/api/v1/docs").text
    assert "<code>Authorization: Bearer …</code>" in text
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    assert "<a href='/'>" in text
    assert "href='/favicon.svg'" in text


def test_an_unknown_address_of_the_interface_is_a_problem_also_in_a_browser(console: TestClient) -> None:
    answer = console.get("/api/v1/nothing", headers=HTML)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_address")


def test_answers_and_assets_are_compressed(console: TestClient) -> None:
    for path in ("/api/v1/openapi.json", "/api/v1/docs", "/assets/index-abc.js"):
        packed = console.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip", path
        plain = console.get(path, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert plain.content == packed.content
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert int(packed.headers.get("Content-Length", 0)) < len(plain.content) / 2
    assert "Content-Encoding" not in console.get("/favicon.svg").headers  # too short to be worth it
