"""What `shopfloor backup` does."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import pyarrow.parquet as pq

from cloud.settings import Settings
from shopfloor.api import Api
from shopfloor.backup import FORMAT
from shopfloor.backup.archive import DATABASE, MANIFEST, Archive, writing
from shopfloor.backup.database import dump
from shopfloor.backup.samples import series_of
from shopfloor.errors import CommandError
from shopfloor.output import err, plural

EVER: Final = (("start", "1970-01-01T00:00:00Z"), ("end", "2262-04-11T23:47:16.854775807Z"))


def backup(file: str) -> None:
    """Write users, assets, the ledger, all samples and minutes of the running plant into a file."""
    settings = Settings()
    with Api.of(os.environ) as api, writing(file) as out:
        archive = Archive(out)
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
        archive.add_json(MANIFEST, manifest)
        archive.add_json(DATABASE, tables)
        samples = 0
        for number, (asset, signals) in enumerate(series):
            query = [("asset", asset["id"]), *(("signal", signal) for signal in signals), *EVER, ("format", "parquet")]
            for name, resolution in (("samples", "raw"), ("minutes", "minute")):
                with tempfile.TemporaryFile() as content:
                    api.save("telemetry/export", [*query, ("resolution", resolution)], content.write)
                    samples += pq.read_metadata(content).num_rows if resolution == "raw" else 0
                    archive.add_file(f"{name}/{number}.parquet", content)
            err.print(f"{asset['id']}: {plural(len(signals), 'signal')}", markup=False)
        if api.get("telemetry/retention")["raw_since"] != raw_since:
            raise CommandError("a day of samples became minutes meanwhile, as it does each midnight", "back up again")
        archive.close()
    err.print(f"backed up {plural(len(tables['assets']), 'asset')}, {plural(samples, 'sample')}")
