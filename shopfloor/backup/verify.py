"""Is a file a whole backup, and nothing else? Asked before a restore changes anything, in bounded memory."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cloud.telemetry.store import MINUTES, RAW
from cloud.telemetry.times import parse_time
from shopfloor.backup import CHECKED, FORMAT
from shopfloor.backup.archive import CHECKSUMS, DATABASE, MANIFEST, checksum
from shopfloor.backup.database import Row, upgraded
from shopfloor.errors import ConfigurationError

MOST_JSON: Final = 64 * 2**20
MOST_ITEMS: Final = 3_000_000
"""Of a JSON member, by its commas: a signal has 12, so more than 200,000 of them. In memory that is less than 1 GB."""
MOST_HEADER: Final = 4096
PARQUET_MEMORY = "1GB"
MOST_ROWS_PER_BYTE: Final = 16
"""Samples that never change, each second, at the same time, are 5 rows in a byte; more was made to take long."""
FREE_ROWS: Final = 1_000_000
"""So many are read however small their file is."""
_TAGS: Final = ("id", "kind", "site", "area", "line")
_FIRST: Final = ("signal", "time", "value", "text", "quality")
"""The columns that samples had from the first format on."""


class _Header(tarfile.TarInfo):
    """A header of a plain file. Nothing else is read: no link, no hole, no extension that fills the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        extends = header.type == tarfile.XHDTYPE and header.size <= MOST_HEADER  # of members above 8 GiB
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) and not extends:
            raise ValueError(f"{header.name!r} in it is no plain file")
        return header


@dataclass(frozen=True, slots=True)
class Series:
    """Some stored signals of an asset (id, kind and place), with the members that have their samples and minutes."""

    asset: Mapping[str, str]
    samples: tarfile.TarInfo
    minutes: tarfile.TarInfo | None


@dataclass(frozen=True, slots=True)
class Backup:
    """What a whole backup says; `rows` are as the newest schema has them, `raw_since` is in ns since 1970."""

    tar: tarfile.TarFile
    raw_since: int
    rows: Mapping[str, Sequence[Row]]
    series: Sequence[Series]

    @contextmanager
    def copy(self, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
        """Give a copy of a member as a file with a name."""
        with _copied(self.tar, member) as copy:
            yield copy


def verified(source: IO[bytes], file: str) -> Backup:
    """Read all of a backup; raise ConfigurationError when it is none, not whole, or not of a known form."""
    try:
        return _read(tarfile.open(fileobj=source, mode="r:", tarinfo=_Header))
    except (
        tarfile.TarError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        pa.ArrowException,
        duckdb.Error,
    ) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        raise ConfigurationError(
            f"{file} is not a whole backup: {said}", "nothing was changed; take another one"
        ) from error


def _read(tar: tarfile.TarFile) -> Backup:
    members = _Members(tar)
    manifest = members.json(MANIFEST)
    if type(manifest["format"]) is not int or not 1 <= manifest["format"] <= FORMAT:
        raise ValueError(f"it has format {manifest['format']}, this version reads up to {FORMAT}")
    tables = members.json(DATABASE)
    rows = upgraded(manifest["revision"], tables)
    if "series" in manifest:
        series = [_tags(one) for one in manifest["series"]]
    else:  # before format 3 only what the database knew was in a backup
        assets = {row["id"]: row for row in rows["assets"]}
        series = [_tags(assets[id_]) for id_ in manifest["assets"]]
    found = []
    for number, asset in enumerate(series):
        samples = members.parquet(f"samples/{number}.parquet", RAW)
        minutes = members.parquet(f"minutes/{number}.parquet", MINUTES) if manifest["format"] > 1 else None
        found.append(Series(asset, samples, minutes))
    if manifest["format"] >= CHECKED:
        sums = dict(members.checksums)
        if members.json(CHECKSUMS) != sums:
            raise ValueError("its checksums are not those of what is in it: it was changed or damaged")
    members.end()
    return Backup(tar, parse_time(manifest.get("raw_since", "1970-01-01"), 0), rows, found)


def _tags(asset: Any) -> dict[str, str]:
    tags = {name: asset[name] for name in _TAGS}
    if not all(isinstance(value, str) and value.isprintable() for value in tags.values()) or not tags["id"]:
        raise ValueError(f"{str(tags)[:200]} is no asset at its place")
    return tags


class _Members:
    """The members of a tar, one after the other, each under the one name that belongs there."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.checksums: dict[str, str] = {}

    def json(self, name: str) -> Any:
        member = self._next(name)
        if member.size > MOST_JSON:
            raise ValueError(f"{name} in it has {member.size} bytes, more than {MOST_JSON}")
        content = self._tar.extractfile(member)
        assert content is not None
        text = content.read()
        if (items := text.count(b",")) > MOST_ITEMS:
            raise ValueError(f"{name} in it has {items} items, more than {MOST_ITEMS}")
        return json.loads(text.decode(), object_pairs_hook=_once)

    def parquet(self, name: str, schema: pa.Schema) -> tarfile.TarInfo:
        member = self._next(name)
        with _copied(self._tar, member) as copy:
            _check_parquet(copy, name, schema)
        return member

    def end(self) -> None:
        """Raise ValueError when there is more."""
        if (member := self._tar.next()) is not None:
            raise ValueError(f"{member.name!r} in it does not belong there")

    def _next(self, name: str) -> tarfile.TarInfo:
        member = self._tar.next()
        if member is None or member.name != name or member.issparse():
            found = "its end" if member is None else repr(member.name)
            raise ValueError(f"where {name} belongs is {found}")
        content = self._tar.extractfile(member)
        assert content is not None
        self.checksums[name] = checksum(content)
        if content.tell() != member.size:
            raise ValueError(f"it ends within {name}")
        return member


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"it says {twice!r} twice")
    return found


@contextmanager
def _copied(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    content = tar.extractfile(member)
    assert content is not None
    with tempfile.NamedTemporaryFile() as copy:
        while piece := content.read(1 << 20):
            copy.write(piece)
        copy.seek(0)
        yield copy


def _check_parquet(file: IO[bytes], name: str, schema: pa.Schema) -> None:
    """Raise ValueError (or what pyarrow and DuckDB raise) unless every row can be read and has a signal and a time."""
    try:
        metadata = pq.read_metadata(file)
        found = metadata.schema.to_arrow_schema()
    except OSError as error:  # so pyarrow says that the bytes are damaged
        raise ValueError(f"{name}: {error}") from error
    most = FREE_ROWS + MOST_ROWS_PER_BYTE * file.seek(0, os.SEEK_END)
    if metadata.num_rows > most:
        raise ValueError(f"{name} says that it has {metadata.num_rows} rows; so small a file has at most {most}")
    needed = set(_FIRST) if schema is RAW else set(schema.names)
    if not needed <= set(found.names) <= {"asset", *schema.names} or len(set(found.names)) != len(found.names):
        raise ValueError(f"{name} has the columns {', '.join(found.names)[:200]}")
    if any(not found.field(each).type.equals(schema.field(each).type) for each in found.names if each != "asset"):
        raise ValueError(f"{name} has a column of another type")
    columns = {"signal", "time", "quality" if schema is RAW else "count"}
    missing = " OR ".join(f"{each} IS NULL" for each in sorted(columns))
    # DuckDB decodes each page within its memory limit, however large a small file says that it is
    limits: dict[str, Any] = {"memory_limit": PARQUET_MEMORY, "temp_directory": tempfile.gettempdir(), "threads": 1}
    with duckdb.connect(config=limits) as connection:
        rows = connection.read_parquet(file.name)
        # the hash has every value of every row decoded
        asked = f"count(*) FILTER ({missing}), bit_xor(hash({', '.join(found.names)}))"
        [(incomplete, _)] = rows.aggregate(asked).fetchall()
    if incomplete:
        raise ValueError(f"{name} has rows without a signal, a time or a quality")
