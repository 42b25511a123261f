"""Both kinds of stores, for windows."""

from __future__ import annotations

from tests.cloud.telemetry.conftest import influxdb, store

__all__ = ["influxdb", "store"]
