"""Every command of the README and of docs/ is run, as a reader would type it; both languages have the same ones.

Every ```sh block is run, in order, in one folder. A comment before a block says what is special about it:
`<!-- test: not run: why -->`, `<!-- test: fails: words -->` (what it prints), `<!-- test: until: words -->` (again and
again until it prints them), `<!-- test: background: words -->` (goes on; ready when it has printed them),
`<!-- test: demo -->` (goes on until the next demo). `<!-- file: name -->` and `<!-- append: name -->` before any other
block write it to a file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
CHINESE = ".zh-CN.md"
FIRST_MACHINE = "npm install"
SAID_WITHIN_S = 60.0
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<marker>(?:test|file|append): [^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what its marker says (`action`, `words`), its text, its line in the page."""

    language: str
    action: str
    words: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that have a marker or are commands."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        kind, _, rest = (match["marker"] or "").partition(": ")
        action, _, words = (kind, "", rest) if kind in ("file", "append") else rest.partition(": ")
        if match["language"] == "sh" or action:
            line = text.count("\n", 0, match.start("language")) + 1
            found.append(Block(match["language"], action or "run", words, match["text"], line))
    return found


class Reader:
    """Somebody who follows a page, in a folder of their own, with a plant of their own."""

    def __init__(self, folder: Path, plant: Any, opcua_port: int) -> None:
        self.folder = folder
        self.plant = plant
        self._ports = {**{str(8080 + n): plant.port + n for n in range(4)}, "4840": opcua_port}
        self._background: list[subprocess.Popen[bytes]] = []

    def follow(self, block: Block) -> None:
        text = block.text
        for documented, port in self._ports.items():
            text = text.replace(documented, str(port))
        match block.action:
            case "not run":
                return
            case "file":
                (self.folder / block.words).write_text(text)
            case "append":
                with (self.folder / block.words).open("a") as file:
                    file.write(text)
            case "background":
                self._start(text, block.words)
            case "demo":
                self.plant.stop()
                (command,) = text.strip().splitlines()
                self.plant.start(command=(*command.split(), "--json", "--no-console"), cwd=self.folder)
                self.plant.ready()
            case "fails":
                code, said = self._run(text)
                assert code != 0
                assert block.words in said
            case "until":
                self._until(text, block.words)
            case _:
                code, said = self._run(text)
                assert code == 0, f"line {block.line}: {text}{said}{self.plant.told()}"

    def close(self) -> None:
        for process in self._background:
            os.killpg(process.pid, signal.SIGTERM)  # the node that comes from PyPI is the child of a Python process
            process.wait(10)

    def _run(self, text: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.folder,
            env=self.plant.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    def _until(self, text: str, words: str) -> None:
        said, deadline = "", time.monotonic() + SAID_WITHIN_S
        while time.monotonic() < deadline:
            code, said = self._run(text)
            if code == 0 and words in said:
                return
        raise AssertionError(f"never said {words!r}: {said}{self.plant.told()}")

    def _start(self, text: str, words: str) -> None:
        """Run all lines but the last one, which goes on."""
        *first, last = text.strip().splitlines()
        code, said = self._run("\n".join(first))
        assert code == 0, said
        log = self.folder / "background.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", last],
                cwd=self.folder,
                env=self.plant.environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._background.append(process)
        self._until(f"cat {log.name}; sleep 0.2", words)


@pytest.fixture
def reader(make_plant: Callable[[], Any], tmp_path: Path) -> Iterator[Reader]:
    plant = make_plant()
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "docs").symlink_to(ROOT / "docs")
    plant.home = folder / ".shopfloor"
    plant.environ["SHOPFLOOR_HOME"] = str(plant.home)
    made = Reader(folder, plant, plant.port + 5)
    yield made
    made.close()
    plant.stop()


def split_readme() -> tuple[list[Block], list[Block]]:
    """Return the commands for the running demo, and those of "your first machine"."""
    every = blocks(ROOT / "README.md")
    first = next(index for index, block in enumerate(every) if block.action == "file")
    return every[:first], every[first:]


@pytest.mark.skipif(not shutil.which("npm", path=PATH), reason="needs npm")
@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="needs mosquitto_pub (Debian: mosquitto-clients)")
def test_the_first_machines_of_the_readme(reader: Reader) -> None:
    _, machines = split_readme()
    assert any(FIRST_MACHINE in block.text for block in machines)
    assert any("mosquitto_pub" in block.text for block in machines)
    for block in machines:
        reader.follow(block)
    last = reader.plant.last()
    assert 15 <= last["press-1", "force"]["value"] <= 25
    assert last["press-1", "force"]["unit"] == "kN"
    assert last["furnace-1", "temperature"]["value"] == 851.5
    assert last["furnace-1", "door"]["value"] == "closed"


def test_the_commands_for_a_running_demo(reader: Reader) -> None:
    reader.plant.start("--no-console", cwd=reader.folder)
    reader.plant.ready()
    reader._until("shopfloor query history robot-01 joint1_temperature --start -5m", "rows")
    demo, _ = split_readme()
    english = [page for page in sorted((ROOT / "docs").glob("*.md")) if not page.name.endswith(CHINESE)]
    pages = [block for page in english for block in blocks(page)]
    assert len(pages) >= 7
    for block in (*demo, *pages):
        reader.follow(block)
    assert (reader.folder / "samples.parquet").read_bytes()[:4] == b"PAR1"


def test_both_languages_of_a_page_have_the_same_blocks() -> None:
    chinese = [ROOT / f"README{CHINESE}", *(ROOT / "docs").glob(f"*{CHINESE}")]
    assert len(chinese) >= 3
    for page in chinese:
        own, english = blocks(page), blocks(page.with_name(page.name.replace(CHINESE, ".md")))
        assert [(block.action, block.text) for block in own] == [(block.action, block.text) for block in english]


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_no_page_names_a_place_on_somebody_s_machine() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        assert os.sep + "root" not in page.read_text()
