from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopfloor.errors import ConfigurationError
from shopfloor.home import SECRETS, Home, port_of


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


@pytest.mark.parametrize("text", ["http", "80", "70000", "-1", "8080.0", "８０８０"])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SHOPFLOOR_PORT"):
        port_of({"SHOPFLOOR_PORT": text})


def test_the_default_port() -> None:
    assert port_of({}) == 8080
    assert port_of({"SHOPFLOOR_PORT": ""}) == 8080
    assert port_of({"SHOPFLOOR_PORT": "9000"}) == 9000
