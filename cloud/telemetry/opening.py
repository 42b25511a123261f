"""Which store the settings name."""

from __future__ import annotations

from cloud.settings import Settings, make_private
from cloud.telemetry.store import Store


def open_store(settings: Settings, token: str | None) -> Store:
    """Open the store of the settings; raise StoreUnavailable. Only the library of the named store is imported."""
    if settings.telemetry == "duckdb":
        from cloud.telemetry.duckdb_store import DuckDbStore  # noqa: PLC0415

        folder = make_private(settings.cloud_home / "telemetry")
        return DuckDbStore(folder, raw_days=settings.raw_days, minute_days=settings.minute_days).open()
    from cloud.telemetry.influx_store import InfluxStore  # noqa: PLC0415

    return InfluxStore(
        settings.telemetry, token or "", settings.store_org, settings.store_bucket, raw_days=settings.raw_days
    )
