"""Settings of the cloud, from environment variables `SHOPFLOOR_*`."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LOOPBACK: Final = re.compile(
    r"http://(127\.0\.0\.1|localhost|\[::1\])(:[1-9][0-9]{0,3}|:[1-5][0-9]{4}|:6[0-4][0-9]{3})?/?"
)


class SecretFileError(ValueError):
    """A file that should hold a secret cannot be used; the message says which and what to do."""


class Settings(BaseSettings):
    """What an operator can set. Paths are relative to the working directory; times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="SHOPFLOOR_", extra="ignore", frozen=True)

    home: Path = Path(".shopfloor")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str = ""
    """Address by which browsers reach the cloud, when it is not `host` and `port`: behind a proxy, in a container."""
    trusted_proxies: str = ""
    """Addresses or networks of reverse proxies, separated by commas: only they may say whose request it is, by
    `X-Forwarded-For` and `X-Forwarded-Proto`."""
    database_url: str = ""
    """SQLAlchemy URL; default: SQLite in `home`."""
    telemetry: str = "duckdb"
    """`duckdb` (embedded, in `home`), or the http(s) address of an InfluxDB 2 server."""
    store_token_file: Path | None = None
    """Token that /api/v2/write accepts, and with which InfluxDB is asked."""
    cloud_token_file: Path | None = None
    """Token that /api/v1/chain accepts: a gateway shows it with what is no sample. None: nobody may."""
    event_days: Annotated[int, Field(ge=0)] = 400
    """How long events and findings are kept, but those of what still holds. 0: for ever."""
    diagnosis: bool = True
    """Whether this process diagnoses the machines; of several clouds of one database one should."""
    learn_s: Annotated[float, Field(ge=120, le=7200)] = 3600.0
    """So long a machine must have run until what is usual for it is learned, from at most two hours."""
    block_folder: Path | None = None
    """Where blocks are; default: in `home`. Several clouds of one database need one that they share."""
    block_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    """So much of blocks is kept; then the oldest make room for newer ones, but those that are kept."""
    store_org: str = "shopfloor"
    store_bucket: str = "shopfloor"
    raw_days: Annotated[int, Field(ge=0)] = 30
    """How long samples are kept; then their minutes stand for them. 0: for ever."""
    minute_days: Annotated[int, Field(ge=0)] = 365
    """How long minutes are kept. 0: for ever."""
    cli_token_file: Path | None = None
    """Bearer token of the local command line, which acts as an engineer."""
    console: Path = Path(__file__).parent / "console" / "dist"
    """Folder of the built web console."""
    max_connections: Annotated[int, Field(ge=10)] = 2000
    """Connections open at once; when there are more, those that ask nothing give way."""
    max_connections_per_address: Annotated[int, Field(ge=10)] = 1000
    """The same of one address: that of a proxy counts for all behind it."""
    head_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long a client may take for the head of a request."""
    body_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long a client may take for the body of a request, and 1 s more for each KiB of it."""
    max_streams: Annotated[int, Field(ge=1)] = 500
    """Live streams open at once."""
    max_streams_per_user: Annotated[int, Field(ge=1)] = 50
    """Live streams of one user open at once."""
    stream_send_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    """How long the client of a live stream may not read before it is let go."""
    quiet_s: Annotated[float, Field(gt=0)] = 60.0
    """A machine that is there, but of which nothing has changed for so long, is shown as quiet."""
    stream_recheck_s: Annotated[float, Field(ge=0)] = 30.0
    """How long a live stream may outlive its login."""
    trainer_url: str = ""
    """Control address of simulators on this machine, to which a trainer's faults go. Empty: there are none."""
    planted_fault: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]{1,64}/[a-z0-9_]{1,64})?$")] = ""
    """A fault that simulators began with, as `asset/fault`: everybody is told."""

    @field_validator("telemetry")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value == "duckdb" or value.startswith(("http://", "https://")):
            return value
        raise ValueError(f"{value!r} is not a store: use 'duckdb' or the http(s):// address of an InfluxDB 2 server")

    @field_validator("trainer_url")
    @classmethod
    def _on_this_machine(cls, value: str) -> str:
        if value and not _LOOPBACK.fullmatch(value):
            raise ValueError(f"{value!r} is no http:// address of this machine: write http://127.0.0.1:8088")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            try:
                ip_network(each)
            except ValueError as error:
                raise ValueError(
                    f"{error}: write addresses or networks, for example '10.0.0.5,172.16.0.0/12'"
                ) from error
        return value

    @property
    def cloud_home(self) -> Path:
        """Folder of the cloud's own files."""
        return self.home / "cloud"

    @property
    def login_link(self) -> Path:
        """File with the login link of the first admin, as long as it was not used."""
        return self.home / "secrets" / "login-link"

    @property
    def sql_url(self) -> str:
        """SQLAlchemy URL of the relational database."""
        return self.database_url or f"sqlite:///{self.cloud_home / 'shopfloor.db'}"

    @property
    def cookie(self) -> str:
        """Name of the session cookie: cookies do not know ports, so that two plants on one host need two names."""
        return f"shopfloor_{urlsplit(self.public_url).port or self.port}"

    @property
    def device_cookie(self) -> str:
        """Name of the cookie that marks a browser in which somebody has logged in."""
        return f"{self.cookie}_device"


def read_secret(path: Path | None) -> str | None:
    """Return the secret in a file without surrounding white space, None without a path; raise SecretFileError."""
    if path is None:
        return None
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SecretFileError(f"cannot read the secret in {path}: {reason}; create it or correct the path") from error
    if len(secret) < 16:
        raise SecretFileError(f"the secret in {path} is shorter than 16 characters; put a longer random one there")
    return secret


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner can enter, with its parents; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
