"""`shopfloor quarantine` against the real port of a gateway, with a real ledger and a store at the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.health import HealthServer
from gateway.ledger import STORE, Aside, Ledger
from gateway.ledger.quarantine import Quarantine
from gateway.store import HttpStore
from shopfloor.commands.quarantine import app
from shopfloor.errors import ConfigurationError, RefusedError, UnreachableError
from shopfloor.home import Home
from spool import Spool
from tests.gateway.test_health import GREEN
from tests.gateway.wire import LINE, START_NS, TOKEN, FakeStore, line_of

Command = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    monkeypatch.setenv("SHOPFLOOR_HOME", str(home.path))
    home.prepare()
    return home


@pytest.fixture
def fake_store() -> Iterator[FakeStore]:
    store = FakeStore()
    store.start()
    yield store
    store.stop()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open()
    for n in range(3):
        ledger.set_aside(Aside(START_NS, LINE, STORE, "no such field", line_of(n).encode()))
    ledger.flush()
    yield ledger
    ledger.close()


@pytest.fixture
def command(
    home: Home, ledger: Ledger, fake_store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """Run a command against a gateway; what it raises is raised."""
    (tmp_path / "store-token").write_text(TOKEN)
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=tmp_path / "store-token", timeout_s=1.0)
    server = HealthServer("127.0.0.1", 0, lambda: GREEN)
    with Spool.open(tmp_path / "gateway.spool") as spool:
        quarantine = Quarantine(ledger, spool, store, home.secret("gateway-token"))
        server.start(quarantine)
        monkeypatch.setenv("SHOPFLOOR_GATEWAY_PORT", str(server.port))

        def run(*arguments: str) -> Any:
            result = CliRunner().invoke(app, arguments)
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return result

        yield run
        server.stop()
        quarantine.close()


def test_list_show_replay_and_discard(command: Command, fake_store: FakeStore, tmp_path: Path) -> None:
    ids = [str(row["id"]) for row in json.loads(command("list", "--json").stdout)]
    assert len(ids) == 3
    assert "no such field" in command("list").stdout
    assert command("show", ids[0], "--output", str(tmp_path / "line")).exit_code == 0
    assert (tmp_path / "line").read_text() == line_of(0)

    fake_store.refuse = "speed=1.0 "
    done = command("replay", "--all")
    assert (done.exit_code, done.stdout) == (1, "2 stored, 1 left\n")
    assert f"{ids[1]}: " in done.stderr
    assert sorted(fake_store.lines) == [line_of(0), line_of(2)]
    assert command("discard", ids[1]).stdout == "1 discarded, 0 left\n"
    assert "nothing is kept" in command("list").stdout


def test_errors_say_what_to_do(command: Command, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="say which"):
        command("replay")
    with pytest.raises(ConfigurationError, match="say which"):
        command("discard", "1", "--all")
    with pytest.raises(RefusedError, match="nothing is kept under 99"):
        command("show", "99")
    home.secret("gateway-token").write_text("another")
    # the gateway reads its token anew, the client sends what it read: both have the new one
    assert command("list").exit_code == 0
    home.secret("gateway-token").unlink()
    with pytest.raises(RefusedError, match="no token"):
        command("list")
    home.secret("gateway-token").write_text("another")
    monkeypatch.setenv("SHOPFLOOR_GATEWAY_PORT", "1")
    with pytest.raises(UnreachableError, match="no gateway answers"):
        command("list")
