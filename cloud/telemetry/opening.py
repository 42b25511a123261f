"""Which store the settings name."""

from __future__ import annotations

from cloud.settings import SecretFileError, Settings, make_private, read_secret
from cloud.telemetry.store import Store, StoreRefuses


def open_store(settings: Settings) -> Store:
    """Open the store of the settings; raise StoreUnavailable. Only the library of the named store is imported."""
    if settings.telemetry == "duckdb":
        from cloud.telemetry.duckdb_store import DuckDbStore  # noqa: PLC0415

        folder = make_private(settings.cloud_home / "telemetry")
        return DuckDbStore(folder, raw_days=settings.raw_days, minute_days=settings.minute_days).open()
    from cloud.telemetry.influx_store import InfluxStore  # noqa: PLC0415

    def token() -> str:
        try:
            return read_secret(settings.store_token_file) or ""
        except SecretFileError as error:
            raise StoreRefuses(str(error)) from error

    return InfluxStore(settings.telemetry, token, settings.store_org, settings.store_bucket, raw_days=settings.raw_days)
