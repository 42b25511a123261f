"""What `shopfloor restore` does."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from sqlalchemy.orm import sessionmaker

from cloud import db
from cloud.auth import first_link
from cloud.auth.rights import Role
from cloud.settings import Settings
from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import DAY_NS, horizon, minutes_bucket
from cloud.telemetry.times import parse_time
from shopfloor.api import Api, url_of
from shopfloor.backup.archive import reading
from shopfloor.backup.database import Row, load, refuse_inhabited
from shopfloor.backup.samples import BATCH, Kept, Writer, minutes_of, points, rolled_up
from shopfloor.backup.verify import Backup, verified
from shopfloor.errors import CommandError
from shopfloor.home import Home, check_database
from shopfloor.output import err, plural

ENDED: Final = "all logins, login links (also printed ones) and API tokens of this plant have ended"


def restore(file: str, store_url: str, store_token_file: Path | None, *, force: bool) -> None:
    """Bring users, assets, the ledger, samples and minutes of a backup into the running plant.

    Nothing is changed before all of the file was read. Samples come first, users and assets last and at once: a restore
    that is killed leaves those of before or those of the backup, and may be run again. Samples that are older than the
    plant keeps them become minutes.
    """
    settings = Settings()
    url = store_url or (settings.telemetry if settings.telemetry != "duckdb" else url_of(os.environ))
    check_database(settings.sql_url)
    token_file = store_token_file or settings.store_token_file or _own_token(Home.of(os.environ))
    raw = Writer(url, token_file, settings, settings.store_bucket)
    minutes = Writer(url, token_file, settings, minutes_bucket(settings.store_bucket))
    with reading(file) as source:
        backup = verified(source, file)
        refuse_inhabited(settings, force=force)
        samples = _write(backup, raw, minutes)
    load(settings, backup.rows, force=force)
    _withdraw_link(settings)
    err.print(f"restored {plural(len(backup.rows['assets']), 'asset')}, {plural(samples, 'sample')}")
    err.print(f"{ENDED}; {_way_in(backup.rows['users'])}", markup=False)


def _own_token(home: Home) -> Path:
    """Return the file of this plant's token; raise ConfigurationError when it is another user's."""
    file = home.secret("store-token")
    home.check_owner(file)
    return file


def _write(backup: Backup, raw: Writer, minutes: Writer) -> int:
    """Write all samples and minutes into the store; return how many samples. Raise CommandError."""
    kept = _kept(backup)
    minutes.write([[minute_lines.since(kept.raw_since)]] if kept.raw_since else [])
    samples = 0
    for series in backup.series:
        try:
            with backup.copy(series.samples) as copy:
                count = raw.write([point] for point in points(series.asset, copy, kept))
                minutes.write(rolled_up(series.asset, copy, kept))
            if series.minutes is not None:
                with backup.copy(series.minutes) as copy:
                    minutes.write(minutes_of(series.asset, pq.ParquetFile(copy).iter_batches(BATCH), kept))
        except ValueError as error:
            raise CommandError(
                f"{series.asset['id']}: {error}", "users and assets are as before; samples of it may be there already"
            ) from error
        samples += count
        err.print(f"{series.asset['id']}: {plural(count, 'sample')}", markup=False)
    return samples


def _kept(backup: Backup) -> Kept:
    """Return what the plant keeps: no samples of the day that goes next, since InfluxDB may refuse them already."""
    with Api.of(os.environ) as api:
        retention = api.get("telemetry/retention")
    raw_since = parse_time(retention["raw_since"], 0) + (DAY_NS if retention["raw_days"] else 0)
    minutes_since = horizon(time.time_ns(), retention["minute_days"]) + (DAY_NS if retention["minute_days"] else 0)
    return Kept(max(raw_since, backup.raw_since), minutes_since)


def _withdraw_link(settings: Settings) -> None:
    """Delete the file of the first login link, which lets nobody in any more."""
    engine = db.connect(settings.sql_url)
    try:
        with sessionmaker(engine)() as session:
            first_link.withdraw(settings, session)
    except OSError as error:
        err.print(f"{settings.login_link}: {error.strerror}; what stands there lets nobody in", markup=False)
    finally:
        engine.dispose()


def _way_in(users: Sequence[Row]) -> str:
    """Say how people get in: with their passwords, or by a new link when no admin has one."""
    admins = [user for user in users if user["role"] == Role.ADMIN.value and not user["disabled"]]
    if any(user["password_hash"] for user in admins):
        return "users log in with the passwords that they had"
    names: Mapping[int, str] = {user["id"]: user["username"] for user in admins}
    return f"no admin has a password yet: `shopfloor login --user {names[min(names)]}` makes a link"
