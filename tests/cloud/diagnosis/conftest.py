"""Both kinds of stores, for windows."""

from __future__ import annotations

from tests.cloud.telemetry.conftest import influxdb, influxdb_bucket, store

__all__ = ["influxdb", "influxdb_bucket", "store"]
