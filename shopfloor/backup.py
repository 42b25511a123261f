"""`shopfloor backup` and `shopfloor restore`: users, assets and all samples in one file, while everything runs.

A tar file: `manifest.json` (format, version, schema revision), `database.json` (rows by table) and for each asset, and
each fifty of its signals, `samples/<n>.parquet` and `minutes/<n>.parquet`, what is left of older samples. It holds no
secret of the installation and no login, but password hashes: keep it private. It fits every variant: what came out of
DuckDB and SQLite goes into InfluxDB and PostgreSQL, and the other way round.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Annotated, Any, Final, cast

import duckdb
import httpx2
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import typer
from sqlalchemy import Connection, Engine, MetaData, create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

import cloud.auth.tables
import cloud.registry.tables  # noqa: F401  (both fill Base.metadata)
from cloud import db
from cloud.settings import Settings
from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import DAY_NS, horizon, minutes_bucket, roll_up
from cloud.telemetry.store import GOOD, QUALITY, TEXT
from cloud.telemetry.times import parse_time
from contract.lineprotocol import FieldValue, Point, encode
from shopfloor.api import Api
from shopfloor.errors import CommandError, ConfigurationError, RefusedError, UnreachableError
from shopfloor.home import Home, port_of
from shopfloor.output import err

FORMAT: Final = 2
"""1 had no minutes."""
BATCH: Final = 20_000
SIGNALS: Final = 50
WRITE_TIMEOUT_S: Final = 60.0
LEFT_OUT: Final = ("logins", "login_links", "alembic_version")
"""Tables that are not backed up: nobody stays logged in on another machine."""

Row = dict[str, Any]


def backup(
    file: Annotated[str, typer.Argument(help="The file to write; - for standard output.")],
) -> None:
    """Write users, assets, all samples and minutes of the running plant into a file."""
    settings = Settings()
    with _api() as api, _writing(file) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        revision, tables = _dump(settings)
        series = list(_series(tables))
        raw_since = api.get("telemetry/retention")["raw_since"]
        manifest = {
            "format": FORMAT,
            "shopfloor": version("shopfloor"),
            "revision": revision,
            "created": datetime.now(UTC).isoformat(),
            "raw_since": raw_since,
            "assets": [asset for asset, _ in series],
        }
        _add(tar, "manifest.json", orjson.dumps(manifest))
        _add(tar, "database.json", orjson.dumps(tables, option=orjson.OPT_NON_STR_KEYS))
        for number, (asset, signals) in enumerate(series):
            query = [("asset", asset), *(("signal", signal) for signal in signals)]
            window = [("start", "1970-01-02T00:00:00Z"), ("end", "2200-01-01T00:00:00Z"), ("format", "parquet")]
            for name, resolution in (("samples", "raw"), ("minutes", "minute")):
                with tempfile.TemporaryFile() as content:
                    api.save("telemetry/export", [*query, *window, ("resolution", resolution)], content.write)
                    _add_file(tar, f"{name}/{number}.parquet", content)
            err.print(f"{asset}: {len(signals)} signals")
        if api.get("telemetry/retention")["raw_since"] != raw_since:
            raise CommandError("a day of samples became minutes meanwhile, as it does each midnight", "back up again")
    err.print(f"backed up {len(tables['assets'])} assets and {sum(map(len, tables.values()))} rows")


def restore(
    file: Annotated[str, typer.Argument(help="The file that `shopfloor backup` wrote; - for standard input.")],
    store_url: Annotated[str, typer.Option(help="Where samples are written; default: the store of this plant.")] = "",
    store_token_file: Annotated[Path | None, typer.Option(help="A token that may write there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also when this plant has users with passwords.")] = False,
) -> None:
    """Bring users, assets, samples and minutes of a backup into the running plant, which should be a new one.

    Samples that are older than the plant keeps them become minutes.
    """
    settings = Settings()
    url = store_url or (settings.telemetry if settings.telemetry != "duckdb" else _url())
    token_file = store_token_file or settings.store_token_file or Home.of(os.environ).secret("store-token")
    with _reading(file) as source, tarfile.open(fileobj=source, mode="r|") as tar:
        members = iter(tar)
        manifest = _manifest(_json(tar, members, "manifest.json"))
        tables = _json(tar, members, "database.json")
        kept = _kept(manifest)
        _load(settings, manifest["revision"], tables, force=force)
        assets = {row["id"]: row for row in tables["assets"]}
        raw = _Writer(url, token_file, settings, settings.store_bucket)
        minutes = _Writer(url, token_file, settings, minutes_bucket(settings.store_bucket))
        minutes.write([[minute_lines.since(kept.raw_since)]] if kept.raw_since else [])
        samples = 0
        for asset in manifest["assets"]:
            of_asset = assets[asset]
            with _copy(tar, next(members)) as copy:
                count = raw.write([point] for point in _points(of_asset, copy, kept))
                minutes.write(_rolled_up(of_asset, copy, kept))
            if manifest["format"] > 1:
                with _copy(tar, next(members)) as copy:
                    minutes.write(_minutes(of_asset, pq.ParquetFile(copy).iter_batches(BATCH), kept))
            samples += count
            err.print(f"{asset}: {count} samples")
    err.print(f"restored {len(assets)} assets, {samples} samples; users log in with the passwords that they had")


# --- samples


def _url() -> str:
    return os.environ.get("SHOPFLOOR_API_URL") or f"http://127.0.0.1:{port_of(os.environ)}"


def _api() -> Api:
    file = Home.of(os.environ).secret("cli-token")
    try:
        return Api(_url(), file.read_text().strip())
    except OSError as error:
        raise RefusedError(
            f"cannot read {file}: {error.strerror}", "set SHOPFLOOR_HOME to the plant's folder"
        ) from error


def _series(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each asset with its signals, as many as one export takes."""
    for asset in sorted(row["id"] for row in tables["assets"]):
        signals = sorted(row["name"] for row in tables["signals"] if row["asset_id"] == asset)
        for first in range(0, len(signals), SIGNALS):
            yield asset, signals[first : first + SIGNALS]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Since when the plant will have samples and minutes, in ns since 1970."""

    raw_since: int
    minutes_since: int


def _kept(manifest: Mapping[str, Any]) -> _Kept:
    """Return what the plant keeps: no samples of the day that goes next, since InfluxDB may refuse them already."""
    with _api() as api:
        retention = api.get("telemetry/retention")
    raw_since = parse_time(retention["raw_since"], 0) + (DAY_NS if retention["raw_days"] else 0)
    minutes_since = horizon(time.time_ns(), retention["minute_days"]) + (DAY_NS if retention["minute_days"] else 0)
    return _Kept(max(raw_since, parse_time(manifest.get("raw_since", "1970-01-01"), 0)), minutes_since)


@contextmanager
def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    """Give a copy of a member that one can seek in."""
    content = tar.extractfile(member)
    assert content is not None
    with tempfile.NamedTemporaryFile() as seekable:
        while piece := content.read(1 << 20):
            seekable.write(piece)
        seekable.seek(0)
        yield seekable


def _tags(asset: Mapping[str, Any]) -> dict[str, str]:
    return {name: asset[name] for name in ("site", "area", "line")} | {"asset": asset["id"]}


def _rolled_up(asset: Mapping[str, Any], file: IO[bytes], kept: _Kept) -> Iterator[list[Point]]:
    """Yield the minutes of the samples that are older than samples are kept."""
    at = ds.field("time").cast(pa.int64())
    columns = {"series": ds.field("signal"), "time": at, "value": ds.field("value"), "text": ds.field("text")}
    dataset = ds.dataset(file.name, format="parquet")
    samples = dataset.scanner(columns, filter=at < kept.raw_since).to_reader()
    with duckdb.connect(config={"memory_limit": "256MB", "temp_directory": tempfile.gettempdir()}) as connection:
        connection.register("samples", samples)
        minutes = connection.sql(roll_up("FROM samples"))
        rows = minutes.project("series AS signal, time, min, sum / count AS mean, max, last, count, text")
        yield from _minutes(asset, rows.to_arrow_reader(BATCH), kept)


def _minutes(asset: Mapping[str, Any], batches: Iterable[pa.RecordBatch], kept: _Kept) -> Iterator[list[Point]]:
    """Yield the points of each minute."""
    tags = _tags(asset)
    for batch in batches:
        times = batch["time"].cast(pa.int64()).to_pylist()
        for row, time_ns in zip(batch.to_pylist(), times, strict=True):
            if kept.minutes_since <= time_ns < kept.raw_since:
                yield minute_lines.points(asset["kind"], tags, row, time_ns)


def _points(asset: Mapping[str, Any], file: IO[bytes], kept: _Kept) -> Iterator[Point]:
    """Yield a point for each sample of a Parquet file, as a gateway would have written it."""
    tags = _tags(asset)
    kind: str = asset["kind"]
    for batch in pq.ParquetFile(file).iter_batches(BATCH):
        times = batch["time"].cast(pa.int64()).to_pylist()
        columns = (batch[name].to_pylist() for name in ("signal", "value", "text", "quality"))
        for time_ns, signal, value, said, quality in zip(times, *columns, strict=True):
            if time_ns < kept.raw_since:
                continue
            fields: dict[str, FieldValue] = {}
            if value is not None:
                fields[signal] = float(value)
            if quality != GOOD:
                fields[signal + QUALITY] = float(quality)
            if said is not None:
                yield Point(kind + TEXT, tags, {signal: said}, time_ns)
            if fields:
                yield Point(kind, tags, fields, time_ns)


class _Writer:
    """Writes line protocol into the store of a plant."""

    def __init__(self, url: str, token_file: Path, settings: Settings, bucket: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/write"
        self._query = {"org": settings.store_org, "bucket": bucket, "precision": "ns"}
        try:
            self._headers = {"Authorization": f"Token {token_file.read_text().strip()}"}
        except OSError as error:
            raise ConfigurationError(f"{token_file}: {error.strerror}", "name it with --store-token-file") from error

    def write(self, groups: Iterable[list[Point]]) -> int:
        """Write all points, those of a group in one request; return how many."""
        count, batch = 0, list[Point]()
        for group in groups:
            batch += group
            if len(batch) >= BATCH:
                self._post(encode(batch))
                count, batch = count + len(batch), []
        if batch:
            self._post(encode(batch))
        return count + len(batch)

    def _post(self, lines: bytes) -> None:
        try:
            answer = httpx2.post(
                self._url,
                params=self._query,
                content=lines,
                headers=self._headers,
                timeout=WRITE_TIMEOUT_S,
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            raise UnreachableError(f"{self._url} does not answer: {error}", "start the plant, then restore") from error
        if not answer.is_success:
            raise RefusedError(f"{self._url}: {answer.status_code} {answer.text[:300]}", "may this token write there?")


# --- the relational database


def _dump(settings: Settings) -> tuple[str, dict[str, list[Row]]]:
    """Return the schema's revision and all rows by table, as of one moment."""
    engine = db.connect(settings.sql_url)
    try:
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            return str(revision), _rows(connection)
    except SQLAlchemyError as error:
        raise UnreachableError(f"{engine.url!r}: {error}", "is SHOPFLOOR_DATABASE_URL that of the cloud?") from error
    finally:
        engine.dispose()


def _rows(connection: Connection) -> dict[str, list[Row]]:
    kept = [table for table in db.Base.metadata.sorted_tables if table.name not in LEFT_OUT]
    return {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in kept}


def _load(settings: Settings, revision: str, tables: Mapping[str, Sequence[Row]], *, force: bool) -> None:
    """Replace the rows of this plant by those of a backup, all or none."""
    engine = db.connect(settings.sql_url)
    try:
        newest = _upgraded(revision, tables)
        db.migrate(engine)
        with engine.begin() as connection:
            _refuse_inhabited(connection, force=force)
            for table in reversed(db.Base.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in db.Base.metadata.sorted_tables:
                if rows := newest.get(table.name):
                    connection.execute(table.insert(), list(rows))
            if engine.dialect.name == "postgresql":
                _count_on(connection)
    except SQLAlchemyError as error:
        raise CommandError(f"the database does not take the backup: {error}", "nothing of it was changed") from error
    finally:
        engine.dispose()


def _upgraded(revision: str, tables: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return rows of an older schema as the newest one has them: its migrations run on a database in memory."""
    engine: Engine = create_engine("sqlite://")
    db.migrate(engine, revision)
    with engine.begin() as connection:
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if rows := tables.get(table.name):
                connection.execute(table.insert(), [_typed(table, row) for row in rows])
    db.migrate(engine)
    with engine.connect() as connection:
        return _rows(connection)


def _typed(table: Any, row: Row) -> Row:
    """Return a row whose times are times again: JSON knows only texts."""
    times = {column.name for column in table.columns if column.type.python_type is datetime}
    return {
        name: datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None) if name in times and value else value
        for name, value in row.items()
    }


def _refuse_inhabited(connection: Connection, *, force: bool) -> None:
    users = db.Base.metadata.tables["users"]
    with_password = select(func.count()).select_from(users).where(users.c.password_hash.is_not(None))
    if not force and connection.execute(with_password).scalar_one():
        raise RefusedError("this plant has users already", "restore into a new plant, or replace them with --force")


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL's sequences go on behind the restored numbers."""
    for table in db.Base.metadata.sorted_tables:
        for column in table.primary_key.columns:
            if column.type.python_type is int and not column.foreign_keys and len(table.primary_key.columns) == 1:
                highest = select(func.max(column)).scalar_subquery()
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, func.coalesce(highest, 1))))


# --- the file


@contextmanager
def _writing(file: str) -> Iterator[IO[bytes]]:
    """Give a private file that stands under its name only when it is whole, or standard output."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    draft = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: {error.strerror}", "choose another place") from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _reading(file: str) -> Iterator[IO[bytes]]:
    try:
        if file == "-":
            yield sys.stdin.buffer
        else:
            with Path(file).open("rb") as source:
                yield source
    except (OSError, tarfile.TarError, ValueError, KeyError, StopIteration) as error:
        raise ConfigurationError(f"{file} is not a whole backup: {error}", "take another one") from error


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_file(tar, name, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    info.mode = 0o600
    content.seek(0)
    tar.addfile(info, content)


def _json(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo], name: str) -> Any:
    member = next(members, None)
    content = tar.extractfile(member) if member is not None and member.name == name else None
    if content is None:
        raise ValueError(f"it has no {name} where it belongs")
    return orjson.loads(content.read())


def _manifest(manifest: Any) -> dict[str, Any]:
    if manifest["format"] not in range(1, FORMAT + 1):
        raise ValueError(f"it has format {manifest['format']}, this version reads up to {FORMAT}")
    return cast(dict[str, Any], manifest)
