"""Plant files that a person, an editor or an attacker writes: each is right, or told with line and word, in bounds.

A case is a folder in testcases/plant_files: `plant.yaml`, and `expected.err` with the beginning of one line that is
told, or `expected.ok`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import PlantFileError, load_plant

CASES = Path(__file__).parent / "testcases" / "plant_files"
SHARED = Path(__file__).parents[3] / "shared" / "cases" / "plant_files"
LOAD_ALL = """
import sys
from pathlib import Path
from edge.config import PlantFileError, load_plant
for file in sys.argv[1:]:
    try:
        load_plant(Path(file))
    except PlantFileError as error:
        print(file, str(error)[:200])
"""
CPU_S, MEMORY = 60, 2**30


def told(file: Path) -> list[str]:
    """Return what is wrong with a file, without its folder."""
    try:
        load_plant(file)
    except PlantFileError as error:
        return str(error).replace(f"{file.parent}/", "").splitlines()
    return []


def loaded_within(cpu_s: int, memory: int, *files: str) -> str:
    """Load plant files in a process with so much time and memory (bytes); return what it prints."""
    limits = (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, memory)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, *files],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: [resource.setrlimit(what, (most, most)) for what, most in limits] and None,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_each_case(case: Path) -> None:
    lines = told(case / "plant.yaml")
    if (case / "expected.ok").exists():
        assert lines == []
        return
    expected = (case / "expected.err").read_text().rstrip("\n")
    assert any(line.startswith(expected) for line in lines), lines
    assert all(len(line) < 400 for line in lines)
    assert len(lines) <= 201


def test_all_cases_together_need_little_time_and_memory() -> None:
    files = [str(case / "plant.yaml") for case in CASES.iterdir()]
    loaded_within(CPU_S, MEMORY, *files)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("enterprise: [" + "a," * 3_000_000 + "]\n", 1),
        ("".join(f"k{n}: 1\n" for n in range(600_000)), 150_000),
        ("enterprise: x\n" + "".join(f"k{n}: &a{n} x\n" for n in range(300_000)), 150_000),
    ],
    ids=["list", "keys", "anchors"],
)
def test_a_file_of_very_many_entries_is_refused_before_it_fills_the_memory(
    tmp_path: Path, text: str, line: int
) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(text)
    assert loaded_within(CPU_S, MEMORY // 2, str(file)) == f"{file} {file}:{line}: more than 300000 keys and values\n"


@pytest.mark.skipif(not SHARED.is_dir(), reason="no recorded plant files beside this checkout")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gbk", "gbk.yaml:10: 'names: {en: Press 1, zh: 压力机 1}' is in GBK, not in UTF-8: save the file as UTF-8"),
        ("merge", "merge.yaml:1: unknown key 'a0'"),
        ("sexa", "sexa.yaml:1: a number of "),
        ("deep", "deep.yaml:1: more than 32 levels deep"),
    ],
)
def test_recorded_files(name: str, expected: str) -> None:
    lines = told(SHARED / f"{name}.yaml")
    assert any(line.startswith(expected) for line in lines), lines


def test_a_file_without_end_is_refused() -> None:
    assert told(Path("/dev/zero")) == ["zero: is larger than 8 MiB: no plant file is"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert told(tmp_path / "pipe.yaml") == ["pipe.yaml: is no file"]


def test_words_and_numbers_are_kept_as_written() -> None:
    [machine] = load_plant(CASES / "version_keeps_its_zero" / "plant.yaml").lines[0].machines.values()
    assert machine.names == {"en": "1.10"}
    [machine] = load_plant(CASES / "day_stays_text" / "plant.yaml").lines[0].machines.values()
    assert machine.names == {"en": "2026-11-23"}


def test_what_is_merged_is_there_and_what_is_written_goes_before_it() -> None:
    first, second = load_plant(CASES / "merge" / "plant.yaml").lines[0].machines.values()
    assert (first.address, second.address) == ("opc.tcp://127.0.0.1:4840", "opc.tcp://127.0.0.1:4841")
    assert first.signals == second.signals
