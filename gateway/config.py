"""Settings of the gateway, from the environment (`SHOPFLOOR_…`)."""

from __future__ import annotations

from pathlib import Path

from pydantic import AnyHttpUrl, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.broker import BrokerSettings
from contract.topics import HOST_ID
from gateway.cloud import HttpCloud
from gateway.commands import HttpCommands
from gateway.store import HttpStore


class Settings(BaseSettings):
    """All that can be set for a gateway; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="SHOPFLOOR_", extra="ignore")

    home: Path = Path(".shopfloor")
    host_id: str = Field("shopfloor", pattern=HOST_ID)
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8082, ge=0, le=65535)
    # who asks for what was set aside must have this token; without one nobody may
    gateway_token_file: Path | None = None
    gateway_spool_bytes: int = Field(4 << 30, ge=1 << 20)
    store_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    store_token_file: Path | None = None
    store_org: str = "shopfloor"
    store_bucket: str = "shopfloor"
    store_timeout_s: float = Field(10.0, gt=0)
    # where events, blocks and the ledger go; empty: nowhere, they are counted and passed
    cloud_url: AnyHttpUrl | None = None
    cloud_token_file: Path | None = None
    cloud_timeout_s: float = Field(10.0, gt=0)
    gateway_cloud_bytes: int = Field(64 << 20, ge=1 << 20)
    reorder_s: float = Field(2.0, gt=0)
    # our own edge nodes speak every 5 s; of a foreign one nothing is promised but reports by exception
    silent_s: float = Field(15.0, gt=0)
    foreign_silent_s: float = Field(300.0, gt=0)
    stuck_s: float = Field(30.0, gt=0)
    # where the mirror goes when not to the broker of the edge nodes; see MirrorBrokerSettings
    mirror_mqtt_url: str = ""

    @property
    def folder(self) -> Path:
        """The gateway's own folder below the home."""
        return self.home / "gateway"


def store_of(settings: Settings) -> HttpStore:
    """Return the store that the settings name."""
    return HttpStore(
        str(settings.store_url),
        org=settings.store_org,
        bucket=settings.store_bucket,
        token_file=settings.store_token_file,
        timeout_s=settings.store_timeout_s,
    )


def cloud_of(settings: Settings) -> HttpCloud | None:
    """Return the cloud that the settings name, None for none."""
    if settings.cloud_url is None:
        return None
    return HttpCloud(str(settings.cloud_url), token_file=settings.cloud_token_file, timeout_s=settings.cloud_timeout_s)


def commands_of(settings: Settings) -> HttpCommands | None:
    """Return where the settings say that commands are, None for nowhere."""
    if settings.cloud_url is None:
        return None
    return HttpCommands(
        str(settings.cloud_url), token_file=settings.cloud_token_file, timeout_s=settings.cloud_timeout_s
    )


class MirrorBrokerSettings(BrokerSettings):
    """A broker of its own for the mirror, so that nobody of the enterprise needs to reach the one of the workshop."""

    model_config = SettingsConfigDict(env_prefix="SHOPFLOOR_MIRROR_MQTT_", extra="ignore")
