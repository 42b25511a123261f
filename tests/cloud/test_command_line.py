"""The command line against a real cloud: what is not there, times, units, files, readers that go away."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.ledger.keep import keep
from cloud.parts import Parts
from cloud.registry.learn import learn
from contract.loss import SourceLedger
from tests.cloud.conftest import announcement

LINE1 = "demo:shanghai:machining/line1"
COUNTS = dict.fromkeys(
    ("produced", "received", "stored", "repeated", "refused", "quarantined", "waiting", "lost", "unexplained"), 0
)
T = 1_795_420_800_000_000_000
TAGS = "site=shanghai,area=machining,line=line1"
SECOND = 10**9
LINES = [
    *(f"cnc,{TAGS},asset=cnc-01 spindle_speed={1000 + n} {T + n * SECOND}" for n in range(5)),
    f"cnc_bool,{TAGS},asset=cnc-01 door_open=true {T}",
    f'cnc_text,{TAGS},asset=cnc-01 program="铣床\n1" {T}',
    f"cnc,{TAGS},asset=cnc-99 gone=1 {T}",  # stored, and no longer announced
]
Shopfloor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def shopfloor(parts: Parts, address: str, write: Callable[[str], None], tmp_path: Path) -> Shopfloor:
    """Run the command against this cloud, with some samples and a ledger in it, in a zone that is not UTC."""
    write("\n".join(LINES))
    with parts.sessions.begin() as db:
        keep(db, SourceLedger(source=LINE1, time=T // 10**6, acknowledges=True, **COUNTS))

    def run(*arguments: str, command: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {"SHOPFLOOR_HOME": str(parts.settings.home), "SHOPFLOOR_API_URL": address, "TZ": "Asia/Shanghai"}
        program = [sys.executable, "-m", "shopfloor", *arguments]
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}", *program] if command else program,
            env={**os.environ, **settings, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    return run


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("query", "last", "cnc-1"), "there is no asset 'cnc-1'", "did you mean cnc-01?"),
        (("query", "history", "cnc1", "feed"), "there is no asset 'cnc1'", "did you mean cnc-01?"),
        (("query", "history", "cnc-01", "spindel_speed"), "no signal 'spindel_speed' of cnc-01", "spindle_speed?"),
        (("query", "export", "cnc-01", "fed"), "there is no signal 'fed' of cnc-01", "did you mean feed?"),
        (("watch", "cnc-o1"), "there is no asset 'cnc-o1'", "did you mean cnc-01?"),
        (("watch", "--signal", "spindel*"), "there is no signal that fits 'spindel*'", "did you mean spindle_speed?"),
        (("ledger", "demo:shanghai:machining/line2"), "there is no source", f"did you mean {LINE1}?"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest_name(
    shopfloor: Shopfloor, arguments: tuple[str, ...], said: str, hint: str
) -> None:
    done = shopfloor(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_stored_but_not_announced_is_there(shopfloor: Shopfloor) -> None:
    done = shopfloor("query", "history", "cnc-99", "gone", "--start", "2026-11-23", "--end", "2026-11-24", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["series"][0]["value"] == [1.0]


def test_times_are_of_the_zone_of_the_machine(shopfloor: Shopfloor) -> None:
    window = ("--start", "2026-11-23T16:00:02", "--end", "2026-11-23T08:00:04Z")
    done = shopfloor("query", "history", "cnc-01", "spindle_speed", *window)
    assert done.returncode == 0, done.stderr
    assert "2 rows" in done.stdout
    assert "2026-11-23 16:00:02.000+08:00" in done.stdout
    done = shopfloor("query", "history", "cnc-01", "spindle_speed", "--utc", "--start", "2026-11-23T08:00:04")
    assert "1 row\n" in done.stdout
    assert "2026-11-23 08:00:04.000Z" in done.stdout
    done = shopfloor("query", "history", "cnc-01", "spindle_speed", "--start", "soon")
    assert done.returncode == 2
    assert "--start: 'soon' is not a time" in done.stderr


def test_a_spreadsheet_gets_units_booleans_and_the_mark_of_excel(shopfloor: Shopfloor, tmp_path: Path) -> None:
    file = tmp_path / "samples.csv"
    window = ("--start", "2026-11-23", "--end", "2026-11-24")
    signals = ("spindle_speed", "door_open", "program")
    done = shopfloor("query", "export", "cnc-01", *signals, *window, "--bom", "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert file.read_bytes().startswith(b"\xef\xbb\xbfasset,signal,time,value,unit,")
    with file.open(encoding="utf-8-sig", newline="") as read:
        rows = list(csv.DictReader(read))
    said = {(row["signal"], row["value"], row["unit"]) for row in rows}
    assert {("spindle_speed", "1000.0", "rpm"), ("door_open", "true", ""), ("program", "铣床\n1", "")} <= said
    assert f"{file}: {file.stat().st_size} bytes" in done.stderr


@pytest.mark.parametrize("arguments", [("query", "last"), ("query", "last", "--json"), ("watch", "--seconds", "5")])
def test_a_reader_that_goes_away_is_no_error(shopfloor: Shopfloor, arguments: tuple[str, ...]) -> None:
    done = shopfloor(*arguments, command='"$0" "$@" | head -c 1')
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("query", "last"), ("query", "last", "--json"), ("ledger",)])
def test_a_full_disk_is_said_in_words(shopfloor: Shopfloor, arguments: tuple[str, ...]) -> None:
    done = shopfloor(*arguments, command='"$0" "$@" > /dev/full')
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_to_a_file_has_no_colors_and_json_is_json_alone(shopfloor: Shopfloor) -> None:
    assert "\x1b" not in shopfloor("query", "last").stdout
    for arguments in (("query", "last"), ("ledger",), ("watch", "--seconds", "1"), ("version",)):
        done = shopfloor(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert all(isinstance(json.loads(line), dict | list) for line in done.stdout.splitlines())


@pytest.mark.parametrize(("columns", "said"), [(40, "signal: door_open\nvalue: true\n"), (100, "door_open")])
def test_a_narrow_terminal_loses_nothing(shopfloor: Shopfloor, columns: int, said: str) -> None:
    script = "import pty,sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = shopfloor("query", "last", command=f'python3 -c "{script}" "$0" "$@"', COLUMNS=str(columns), NO_COLOR="1")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout).replace("\r", "")
    assert said in shown
    assert max(map(len, shown.splitlines())) <= columns


def test_a_table_of_last_values_stays_readable_when_a_machine_is_off(
    shopfloor: Shopfloor, parts: Parts, write: Callable[[str], None]
) -> None:
    trouble = "opc.tcp://192.168.0.10:4840: nothing listens there: is the machine on, and is the port right? " * 3
    signals = [{"name": "Health/cnc-02/trouble", "datatype": "string"}]
    with parts.sessions.begin() as db:
        learn(db, announcement("line1", kind="node", signals=signals))
    write(f'node_text,{TAGS},asset=line1 Health/cnc-02/trouble="{trouble}" {T}')
    done = shopfloor("query", "last")
    assert "door_open" in done.stdout
    assert "Health/" not in done.stdout
    assert done.stderr == "1 value of edge nodes (line1) is left out: --nodes shows it\n"
    for asked in ("--nodes", "line1"):
        done = shopfloor("query", "last", asked)
        assert "nothing listens there" in done.stdout
        assert max(map(len, done.stdout.splitlines())) < 180
        assert done.stderr == ""
    assert trouble in {row["value"] for row in json.loads(shopfloor("query", "last", "--json").stdout)}


def test_a_time_is_shown_as_one_and_said_to_programs_as_it_is(
    shopfloor: Shopfloor, parts: Parts, write: Callable[[str], None]
) -> None:
    signals = [{"name": "server_time", "datatype": "datetime"}, {"name": "count", "datatype": "int64"}]
    with parts.sessions.begin() as db:
        learn(db, announcement("press-1", kind="press", signals=signals))
    write(f"press,{TAGS},asset=press-1 server_time=1795420800250i,count=1795420800250i {T}")
    window = ("--start", "2026-11-23", "--end", "2026-11-24")
    for arguments in (("last", "press-1"), ("history", "press-1", "server_time", "count", *window)):
        done = shopfloor("query", *arguments)
        assert done.stdout.count("1795420800250") == 1, done
        assert "2026-11-23 16:00:00.250+08:00" in done.stdout
    said = json.loads(shopfloor("query", "last", "press-1", "--json").stdout)
    assert [row["value"] for row in said] == [1795420800250, 1795420800250]


def test_watch_has_units(shopfloor: Shopfloor, parts: Parts) -> None:
    done = shopfloor("watch", "--seconds", "1", "--json")
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert all("unit" in row for row in rows)


def test_settings_that_cannot_be_are_told_without_a_word_of_a_library(shopfloor: Shopfloor, tmp_path: Path) -> None:
    done = shopfloor("backup", str(tmp_path / "b"), SHOPFLOOR_TELEMETRY="sqlite")
    assert done.returncode == 2
    assert "SHOPFLOOR_TELEMETRY: 'sqlite' is not a store: use 'duckdb'" in done.stderr
    done = shopfloor("backup", str(tmp_path / "b"), SHOPFLOOR_RAW_DAYS="many")
    assert done.returncode == 2
    assert "SHOPFLOOR_RAW_DAYS: it must be a valid integer" in done.stderr
    assert "pydantic" not in done.stderr
