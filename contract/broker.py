"""Where a broker is and who we are there, as a part of a configuration or from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class Broker(BaseModel):
    """Where a broker is and who we are there; files are read at each connect, so that secrets can be renewed."""

    model_config = ConfigDict(extra="forbid")

    url: str = "mqtt://127.0.0.1:1883"
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{url!r} is not a broker: write mqtt://host:port, or mqtts://host:port for TLS")
        if parts.username or parts.password:
            raise ValueError("the URL of a broker holds no user and no password: they have their own settings")
        if parts.port == 0:
            raise ValueError(f"{url!r}: a port goes from 1 to 65535")
        return url

    @model_validator(mode="after")
    def _check_files(self) -> Broker:
        if self.password_file is not None and self.user is None:
            raise ValueError("a password_file needs a user")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if not self.is_tls and (self.ca_file or self.cert_file):
            raise ValueError("ca_file, cert_file and key_file need an mqtts:// URL")
        return self

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or PORTS[parts.scheme]


class BrokerSettings(BaseSettings, Broker):
    """The broker of this process, from the environment: SHOPFLOOR_MQTT_URL, _USER, _PASSWORD_FILE, _CA_FILE, …"""

    model_config = SettingsConfigDict(env_prefix="SHOPFLOOR_MQTT_", extra="ignore")
