from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.settings import Settings
from shopfloor.__main__ import app
from shopfloor.backup.database import dump
from shopfloor.backup.restore import restore
from shopfloor.commands.ledger import write_report
from shopfloor.commands.login import new_link
from shopfloor.errors import ConfigurationError
from shopfloor.home import SECRETS, Home


def test_prepare_makes_secrets_once_and_for_their_owner_only(tmp_path: Path) -> None:
    home = Home.of({"SHOPFLOOR_HOME": str(tmp_path / "new" / "home")})
    home.prepare()
    first = {name: home.secret(name).read_text() for name in SECRETS}
    home.prepare()
    assert first == {name: home.secret(name).read_text() for name in SECRETS}
    assert len(set(first.values())) == len(SECRETS)
    assert all(len(secret) >= 32 for secret in first.values())
    assert stat.S_IMODE(home.secret("cli-token").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.secret("cli-token").parent.stat().st_mode) == 0o700


def test_a_home_that_was_open_to_all_is_closed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for folder in ("edge", "logs", "cloud/telemetry"):
            (tmp_path / "home" / folder).mkdir(parents=True)
            (tmp_path / "home" / folder / "file").write_bytes(b"")
        (tmp_path / "home" / "plant.yaml").write_bytes(b"")
        home = Home(tmp_path / "home")
        home.prepare()
        with home.locked(8080):
            (home.path / "edge" / "new").write_bytes(b"")
    finally:
        os.umask(before)
    wide = [str(path) for path in [home.path, *home.path.rglob("*")] if path.stat().st_mode & 0o077]
    assert wide == []


@pytest.mark.parametrize("planted", [".", "secrets", "secrets/cli-token", "logs/cloud.log", "plant.yaml", "lock"])
def test_a_home_with_something_of_another_user_is_refused(tmp_path: Path, planted: str) -> None:
    home = Home(tmp_path / "home")
    (home.path / "secrets").mkdir(parents=True)
    (home.path / "logs").mkdir()
    home.secret("cli-token").write_text("known to who planted it")
    home.log("cloud").symlink_to(tmp_path / "elsewhere")
    home.plant.touch()
    (home.path / "lock").touch()
    try:
        os.chown(home.path / planted, 65534, 65534, follow_symlinks=False)
    except PermissionError:
        pytest.skip("only root gives files away")
    with pytest.raises(ConfigurationError, match="belongs to user 65534") as refused:
        home.prepare()
    assert str(home.path / planted) in refused.value.what
    assert "delete" in refused.value.hint


def test_a_link_in_place_of_a_secret_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    home.secret("cli-token").unlink()
    (tmp_path / "elsewhere").write_text("known to who wrote it")
    home.secret("cli-token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError) as refused:
        home.prepare()
    assert str(home.secret("cli-token")) in refused.value.what
    assert "a link stands" in refused.value.hint


def test_an_empty_secret_that_a_full_disk_left_is_made_anew(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.secret("cli-token").write_text("")
    home.prepare()
    assert home.secret("cli-token").read_text()


def test_a_second_owner_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked(8080):
        with pytest.raises(ConfigurationError) as caught, home.locked(8080):
            pass
        assert f"process {os.getpid()}, port 8080" in caught.value.what
        assert "SHOPFLOOR_PORT=8180" in caught.value.hint
    with home.locked(8080):
        pass


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        Home(tmp_path / "file" / "home").prepare()
    assert str(tmp_path / "file") in caught.value.what
    assert "SHOPFLOOR_HOME" in caught.value.hint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def test_a_disk_that_is_nearly_full_is_refused_before_anything_is_written(small_disk: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Home(small_disk / "home").prepare()
    assert "256 MiB" in caught.value.what
    assert "free some space" in caught.value.hint
    assert not list((small_disk / "home").iterdir())


def test_a_full_disk_says_so(small_disk: Path) -> None:
    full = small_disk / "full"
    with full.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    with pytest.raises(ConfigurationError) as caught, Home(small_disk / "home").locked(8080):
        pass
    assert "No space left" in caught.value.what
    assert "the disk is full" in caught.value.hint


READS = {
    "query last": "secrets/cli-token",
    "login": "secrets/cli-token",
    "ledger --json": "secrets/cli-token",
    "quarantine list": "secrets/gateway-token",
    "backup x.backup": "secrets/cli-token",
    "restore x.backup --force": "secrets/store-token",
}


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("planted", [".", "secrets", ""])
def test_no_command_believes_a_secret_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, planted: str
) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    path = home.path / (planted or READS[command])
    give_away(path)
    monkeypatch.setenv("SHOPFLOOR_HOME", str(home.path))
    done = CliRunner().invoke(app, command.split())
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception) == f"{path} belongs to user 65534, not to user {os.geteuid()}, who runs this"
    assert "delete" in done.exception.hint


def test_no_report_is_signed_with_a_key_of_another_user(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    home.secret("ledger-key").write_text("known to who planted it")
    give_away(home.secret("ledger-key"))
    with pytest.raises(ConfigurationError, match="belongs to user 65534"):
        write_report(tmp_path / "report.json", {}, home, datetime.now(UTC))
    assert not (tmp_path / "report.json").exists()


def test_a_link_to_a_secret_of_another_user_is_not_followed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    planted = tmp_path / "planted"
    planted.write_text("known to who planted it")
    home.secret("cli-token").unlink()
    home.secret("cli-token").symlink_to(planted)
    assert home.read_secret("cli-token") == "known to who planted it"  # our own link to our own file
    give_away(planted)
    with pytest.raises(ConfigurationError, match="belongs to user 65534"):
        home.read_secret("cli-token")


@pytest.mark.parametrize("planted", ["cloud", "cloud/shopfloor.db"])
def test_no_link_is_made_in_and_no_backup_of_a_database_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    (home.path / "cloud" / "shopfloor.db").touch()
    give_away(home.path / planted)
    monkeypatch.setenv("SHOPFLOOR_HOME", str(home.path))
    for act in (lambda: new_link(""), lambda: dump(Settings()), lambda: restore("x", "", None, force=True)):
        with pytest.raises(ConfigurationError, match=f"{planted} belongs to user 65534"):
            act()


def give_away(path: Path) -> None:
    try:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    except PermissionError:
        pytest.skip("only root gives files away")
