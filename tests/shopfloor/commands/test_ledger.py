"""`shopfloor ledger`: its exit code, its report and the signature of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shopfloor.commands.ledger import ForgedError, counted, numbers, show, verified, write_report
from shopfloor.errors import CommandError, ConfigurationError, Exit
from shopfloor.home import Home

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
ENTRY = {
    "source": "cnc-01",
    "reason": "offline",
    "outcome": "filled",
    "count": 40,
    "first": None,
    "last": None,
    "start": "2026-11-23T07:00:00.000000000Z",
    "end": "2026-11-23T07:01:00.000000000Z",
    "detail": "gap filled by history",
}


def told(unexplained: int = 0) -> dict[str, Any]:
    counts = dict.fromkeys(("produced", "stored", "waiting", "repeated", "refused", "quarantined", "lost"), 5)
    source = {
        "source": "demo:shanghai:machining/line1",
        **counts,
        "lost_unknown": False,
        "unexplained": unexplained,
        "losses": [{"source": "cnc-01", "reason": "offline", "outcome": "filled", "entries": 1, "count": 40}],
        "entries": [ENTRY],
    }
    return {"unexplained": unexplained, "sources": [source]}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_report_is_signed_by_the_plant_that_made_it(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_report(file, told(3), home, NOW)
    content = verified(file, home)
    assert (content["made"], content["unexplained"]) == ("2026-11-23T08:00:00Z", 3)
    key = home.secret("ledger-key")
    assert (key.stat().st_mode & 0o777, len(list(key.parent.iterdir()))) == (0o600, 1)
    assert key.read_text() not in file.read_text()


def test_a_changed_report_and_a_foreign_one_are_told(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_report(file, told(3), home, NOW)
    with pytest.raises(ForgedError, match="another key"):
        verified(file, Home(tmp_path / "other"))
    said = json.loads(file.read_text())
    said["report"]["unexplained"] = 0
    file.write_text(json.dumps(said))
    with pytest.raises(ForgedError, match="was changed") as caught:
        verified(file, home)
    assert caught.value.exit_code is Exit.FAILED


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"report": {}, "signature": 5}'])
def test_what_is_no_report_is_told(text: str, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with pytest.raises(CommandError, match="cannot read"):
        verified(file, home)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="not a report"):
        verified(file, home)


def test_the_tables_name_every_source_and_say_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    report = told()
    report["sources"][0]["entries"].append(ENTRY | {"outcome": "lost", "count": 0})  # of one gap: the same time
    show(report)
    printed = capsys.readouterr().out
    assert "demo:shanghai:machining/line1" in printed
    assert "gap filled by history" in printed
    assert "unexplained loss: 0" in printed
    show(told(2))
    assert "2 messages are lost" in capsys.readouterr().out
    assert numbers(ENTRY | {"first": 7, "last": 46}) == "40 (7–46)"


def test_a_loss_of_which_nobody_can_know_how_much_it_was_is_in_the_sum() -> None:
    (source,) = told()["sources"]
    assert counted(source, "lost") == 5
    source["lost_unknown"] = True
    assert (counted(source, "lost"), counted(source, "stored")) == ("5 + ?", 5)
