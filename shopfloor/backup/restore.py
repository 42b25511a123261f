"""What `shopfloor restore` does."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from cloud.settings import Settings
from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import DAY_NS, horizon, minutes_bucket
from cloud.telemetry.times import parse_time
from shopfloor.api import Api, url_of
from shopfloor.backup import FORMAT
from shopfloor.backup.archive import read_json, reading, seekable
from shopfloor.backup.database import load
from shopfloor.backup.samples import BATCH, Kept, Writer, minutes_of, points, rolled_up
from shopfloor.home import Home
from shopfloor.output import err


def restore(file: str, store_url: str, store_token_file: Path | None, *, force: bool) -> None:
    """Bring users, assets, samples and minutes of a backup into the running plant, which should be a new one.

    Samples that are older than the plant keeps them become minutes.
    """
    settings = Settings()
    url = store_url or (settings.telemetry if settings.telemetry != "duckdb" else url_of(os.environ))
    token_file = store_token_file or settings.store_token_file or Home.of(os.environ).secret("store-token")
    with reading(file) as source, tarfile.open(fileobj=source, mode="r|") as tar:
        members = iter(tar)
        manifest = _manifest(read_json(tar, members, "manifest.json"))
        tables = read_json(tar, members, "database.json")
        kept = _kept(manifest)
        load(settings, manifest["revision"], tables, force=force)
        assets = {row["id"]: row for row in tables["assets"]}
        raw = Writer(url, token_file, settings, settings.store_bucket)
        minutes = Writer(url, token_file, settings, minutes_bucket(settings.store_bucket))
        minutes.write([[minute_lines.since(kept.raw_since)]] if kept.raw_since else [])
        samples = 0
        # before format 3 only what the database knew was in a backup
        for of_asset in manifest["series"] if "series" in manifest else [assets[id_] for id_ in manifest["assets"]]:
            with seekable(tar, next(members)) as copy:
                count = raw.write([point] for point in points(of_asset, copy, kept))
                minutes.write(rolled_up(of_asset, copy, kept))
            if manifest["format"] > 1:
                with seekable(tar, next(members)) as copy:
                    minutes.write(minutes_of(of_asset, pq.ParquetFile(copy).iter_batches(BATCH), kept))
            samples += count
            err.print(f"{of_asset['id']}: {count} samples")
    err.print(f"restored {len(assets)} assets, {samples} samples; users log in with the passwords that they had")


def _manifest(manifest: Any) -> dict[str, Any]:
    if manifest["format"] not in range(1, FORMAT + 1):
        raise ValueError(f"it has format {manifest['format']}, this version reads up to {FORMAT}")
    return cast(dict[str, Any], manifest)


def _kept(manifest: Mapping[str, Any]) -> Kept:
    """Return what the plant keeps: no samples of the day that goes next, since InfluxDB may refuse them already."""
    with Api.of(os.environ) as api:
        retention = api.get("telemetry/retention")
    raw_since = parse_time(retention["raw_since"], 0) + (DAY_NS if retention["raw_days"] else 0)
    minutes_since = horizon(time.time_ns(), retention["minute_days"]) + (DAY_NS if retention["minute_days"] else 0)
    return Kept(max(raw_since, parse_time(manifest.get("raw_since", "1970-01-01"), 0)), minutes_since)
