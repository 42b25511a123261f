"""What `shopfloor backup` does."""

from __future__ import annotations

import os
import tarfile
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version

import orjson

from cloud.settings import Settings
from shopfloor.api import Api
from shopfloor.backup import FORMAT
from shopfloor.backup.archive import add, add_file, writing
from shopfloor.backup.database import dump
from shopfloor.backup.samples import series_of
from shopfloor.errors import CommandError
from shopfloor.output import err


def backup(file: str) -> None:
    """Write users, assets, all samples and minutes of the running plant into a file."""
    settings = Settings()
    with Api.of(os.environ) as api, writing(file) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        revision, tables = dump(settings)
        series = list(series_of(api.get("telemetry/series")))
        raw_since = api.get("telemetry/retention")["raw_since"]
        manifest = {
            "format": FORMAT,
            "shopfloor": version("shopfloor"),
            "revision": revision,
            "created": datetime.now(UTC).isoformat(),
            "raw_since": raw_since,
            "series": [asset for asset, _ in series],
        }
        add(tar, "manifest.json", orjson.dumps(manifest))
        add(tar, "database.json", orjson.dumps(tables, option=orjson.OPT_NON_STR_KEYS))
        for number, (asset, signals) in enumerate(series):
            query = [("asset", asset["id"]), *(("signal", signal) for signal in signals)]
            window = [("start", "1970-01-02T00:00:00Z"), ("end", "2200-01-01T00:00:00Z"), ("format", "parquet")]
            for name, resolution in (("samples", "raw"), ("minutes", "minute")):
                with tempfile.TemporaryFile() as content:
                    api.save("telemetry/export", [*query, *window, ("resolution", resolution)], content.write)
                    add_file(tar, f"{name}/{number}.parquet", content)
            err.print(f"{asset['id']}: {len(signals)} signals")
        if api.get("telemetry/retention")["raw_since"] != raw_since:
            raise CommandError("a day of samples became minutes meanwhile, as it does each midnight", "back up again")
    err.print(f"backed up {len(tables['assets'])} assets and {sum(map(len, tables.values()))} rows")
