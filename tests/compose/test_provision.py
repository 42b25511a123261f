"""What the first container makes: private, once, and renewed in time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from shopfloor.compose import brokers, certificates
from shopfloor.compose.after import is_there, wait
from shopfloor.compose.certificates import Authority
from shopfloor.compose.provision import provide

NOW = datetime(2026, 11, 23, tzinfo=UTC)
IDENTITIES = (
    *("ca", "broker", "uns", "gateway", *brokers.EDGES, "cloud", "simulators", "machine"),
    *("postgres", "influxdb", "grafana"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in IDENTITIES:
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_repeat_changes_nothing(root: Path) -> None:
    assert len(provide(root, NOW)) == 8
    made = files(root)
    assert provide(root, NOW + timedelta(days=1)) == []
    assert files(root) == made


def test_certificates_are_renewed_before_they_end_and_secrets_stay(root: Path) -> None:
    provide(root, NOW)
    made = files(root)
    later = NOW + timedelta(days=certificates.DAYS - certificates.RENEW_DAYS + 1)
    assert "gateway" in provide(root, later)
    changed = {name for name, content in files(root).items() if made[name] != content}
    assert {Path(name).name for name in changed} == {"cert.pem", "key.pem"}
    renewed = x509.load_pem_x509_certificate((root / "gateway" / "cert.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((root / "gateway" / "ca.pem").read_bytes())
    renewed.verify_directly_issued_by(authority)
    assert renewed.not_valid_after_utc > later + timedelta(days=certificates.RENEW_DAYS)


def test_only_the_database_server_lets_another_user_read(root: Path) -> None:
    provide(root, NOW)
    readable = {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600
    }
    assert readable == {"postgres/password"}


def test_each_identity_sees_no_secret_of_another(root: Path) -> None:
    provide(root, NOW)
    keys = [path.read_bytes() for path in root.rglob("*key.pem")]
    assert len(keys) == len(set(keys)) == 9
    assert {path.name for path in (root / "edge-machining").iterdir()} == {"ca.pem", "cert.pem", "key.pem"}


def test_an_authority_whose_key_is_of_another_is_refused(root: Path) -> None:
    provide(root, NOW)
    other = root / "other"
    other.mkdir()
    Authority.of(other, NOW)
    (root / "ca" / "ca.key.pem").write_bytes((other / "ca.key.pem").read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        provide(root, NOW)


def test_the_list_of_identities_is_that_of_the_image_and_of_compose() -> None:
    tree = Path(__file__).parents[2]
    compose, image = (tree / "docker-compose.yml").read_text(), (tree / "Dockerfile").read_text()
    for name in IDENTITIES:
        assert f"secrets-{name}:/secrets/{name}" in compose
        assert f" {name}" in image


def test_the_database_s_password_outlives_the_loss_of_its_volume(root: Path) -> None:
    provide(root, NOW)
    password = (root / "postgres" / "password").read_text()
    (root / "postgres" / "password").unlink()
    provide(root, NOW)
    assert (root / "postgres" / "password").read_text() == password
    assert stat.S_IMODE((root / "postgres" / "password").stat().st_mode) == 0o444
    (root / "cloud" / "pgpass").unlink()
    provide(root, NOW)
    assert (root / "cloud" / "pgpass").read_text() == f"postgres:5432:shopfloor:shopfloor:{password}\n"


def test_waiting_ends_with_what_is_missing(tmp_path: Path) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.touch()
    moments = iter(range(100))

    def clock() -> float:
        return float(next(moments))

    pauses: list[float] = []
    assert wait([f"file:{there}"], 5.0, clock, pauses.append) is None
    assert wait([f"file:{there}", f"file:{missing}"], 5.0, clock, pauses.append) == f"file:{missing}"
    assert 3 <= len(pauses) <= 6


def test_a_wait_that_is_long_is_said_once(tmp_path: Path) -> None:
    missing = f"file:{tmp_path / 'missing'}"
    moments = iter(range(100))
    said: list[str] = []
    assert wait([missing], 60.0, lambda: float(next(moments)), lambda _: None, said.append) == missing
    assert said == [f"waiting for {missing}, for up to 60 s\n"]


def test_what_cannot_be_waited_for_is_refused() -> None:
    with pytest.raises(ValueError, match="write tcp://host:port"):
        is_there("ftp://somewhere")


def test_it_becomes_the_command(tmp_path: Path) -> None:
    said = _after(f"file:{tmp_path}", "--", "echo", "here I am")
    assert (said.returncode, said.stdout) == (0, b"here I am\n")
    assert _after(f"file:{tmp_path}").returncode == 2


def _after(*arguments: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shopfloor.compose.after", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=dict(os.environ))
