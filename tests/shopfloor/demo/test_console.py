"""Building the console, with a real npm on a project that is tiny."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from shopfloor.demo import console
from shopfloor.demo.logfile import LogFile

BUILD = "mkdir -p dist && printf x >> dist/index.html"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    package = {"name": "tiny", "version": "1.0.0", "private": True, "scripts": {"build": BUILD}}
    lock = {
        "name": "tiny",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "packages": {"": {"name": "tiny", "version": "1.0.0"}},
    }
    folder = tmp_path / "console"
    (folder / "src").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "src" / "main.ts").write_text("1")
    return folder


async def build(sources: Path) -> list[str]:
    said: list[str] = []
    log = LogFile(sources.parent / "build.log")
    try:
        await console.build(sources, log, said.append)
    finally:
        log.close()
    return said


async def test_it_builds_only_when_a_source_has_changed(sources: Path) -> None:
    assert not console.is_current(sources)
    assert any("building" in line for line in await build(sources))
    assert console.is_current(sources)
    assert await build(sources) == []
    (sources / "src" / "main.ts").write_text("2")
    assert not console.is_current(sources)
    assert any("building" in line for line in await build(sources))
    assert (sources / "dist" / "index.html").read_text() == "xx"


async def test_two_at_the_same_time_build_once(sources: Path) -> None:
    await asyncio.gather(build(sources), build(sources))
    assert (sources / "dist" / "index.html").read_text() == "x"


async def test_a_build_that_fails_says_where_to_look(sources: Path) -> None:
    package = json.loads((sources / "package.json").read_text())
    package["scripts"]["build"] = "echo 'Error: no such component' && exit 1"
    (sources / "package.json").write_text(json.dumps(package))
    with pytest.raises(console.BuildError, match=r"no such component.*build\.log"):
        await build(sources)
    assert not console.is_current(sources)


async def test_the_node_of_pypi_is_taken_when_path_has_none_that_is_new_enough(tmp_path: Path) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    for name, text in (("node", "#!/bin/sh\necho v18.19.0\n"), ("npm", "#!/bin/sh\n")):
        (old / name).write_text(text)
        (old / name).chmod(0o755)
    found = await console.node_folder({"PATH": f"{old}{os.pathsep}/usr/bin:/bin"})
    assert found != old


def test_the_console_of_this_tree_is_found() -> None:
    found = console.folder()
    assert found is not None
    assert (found / "package.json").exists()
