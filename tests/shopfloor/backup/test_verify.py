"""What is no whole backup is refused with a reason, in bounded memory; what earlier versions wrote is read."""

from __future__ import annotations

import io
import resource
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cloud
from cloud import db
from cloud.telemetry.store import MINUTES, RAW
from shopfloor.backup import FORMAT
from shopfloor.backup.archive import CHECKSUMS, Archive, reading
from shopfloor.backup.database import LEFT_OUT, TABLES
from shopfloor.backup.verify import Backup, verified
from shopfloor.errors import ConfigurationError

ADMIN = {
    "id": 1,
    "username": "admin",
    "role": "admin",
    "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$keptsecret" + "A" * 33,
    "disabled": False,
    "created": "2026-11-23T08:00:00+00:00",
}
CNC = {"id": "cnc-01", "kind": "cnc", "site": "shanghai", "area": "machining", "line": "line1"}
ASSET = {
    **CNC,
    "enterprise": "demo",
    "names": {"zh": "加工中心 1"},
    "label": "",
    "edge_node": "demo:shanghai:machining/line1",
    "announced": "2026-11-23T08:00:00+00:00",
}
SIGNAL = {
    "asset_id": "cnc-01",
    "name": "feed",
    "position": 0,
    "datatype": "double",
    "unit": "mm/min",
    "low": None,
    "high": 12000,
    "deadband": 0.0,
    "period_s": 0.0,
    "writable": False,
    "description": "",
    "label": "",
}
OLD_ASSET = {name: value for name, value in ASSET.items() if name != "label"}
OLD_SIGNAL = {name: value for name, value in SIGNAL.items() if name != "label"}
ROW = {"signal": "feed", "time": 1_795_420_800_000_000_000, "value": 1.5, "quality": 192}


def parquet(schema: pa.Schema, rows: list[dict[str, Any]], without: tuple[str, ...] = ()) -> bytes:
    """Return a file of an export, which has the asset, too."""
    table = pa.Table.from_pylist(rows, schema=schema).drop_columns(list(without))
    table = table.add_column(0, "asset", pa.array(["cnc-01"] * len(rows), pa.string()))
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def manifest(**changes: Any) -> dict[str, Any]:
    return {"format": FORMAT, "revision": "0003", "raw_since": "1970-01-01T00:00:00Z", "series": [CNC], **changes}


def tables(**changes: Any) -> dict[str, Any]:
    return {"users": [ADMIN], "assets": [ASSET], "signals": [SIGNAL], "ledger": [], **changes}


def members(**changes: bytes | None) -> dict[str, bytes]:
    """Return the members of a good backup, some of them changed or (None) left out."""
    good: dict[str, bytes | None] = {
        "manifest.json": orjson.dumps(manifest()),
        "database.json": orjson.dumps(tables()),
        "samples/0.parquet": parquet(RAW, [ROW]),
        "minutes/0.parquet": parquet(MINUTES, []),
    }
    return {name: content for name, content in (good | changes).items() if content is not None}


def written(file: Path, content: dict[str, bytes]) -> Path:
    with file.open("wb") as out:
        archive = Archive(out)
        for name, body in content.items():
            archive.add_file(name, io.BytesIO(body))
        archive.close()
    return file


def tar_of(
    file: Path, content: list[tuple[str, bytes]], change: Callable[[tarfile.TarInfo], None] | None = None
) -> Path:
    """Write a tar of any members, without checksums."""
    with tarfile.open(file, "w:") as tar:
        for name, body in content:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            if change is not None and name.startswith("samples"):
                change(info)
            tar.addfile(info, io.BytesIO(body))
    return file


def refused(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught, reading(str(file)) as source:
        verified(source, file.name)
    assert caught.value.hint == "nothing was changed; take another one"
    assert "keptsecret" not in caught.value.what
    return caught.value.what


def read(file: Path) -> Backup:
    with reading(str(file)) as source:
        return verified(source, file.name)


def test_every_table_is_in_a_backup_or_says_why_not() -> None:
    folder = Path(cloud.__file__).parent
    for file in folder.rglob("tables.py"):
        import_module(".".join(["cloud", *file.relative_to(folder).with_suffix("").parts]))
    everything = set(db.Base.metadata.tables)
    assert "ledger" in {table.name for table in TABLES}
    assert {table.name for table in TABLES} | set(LEFT_OUT) == everything
    assert set(LEFT_OUT) >= {"logins", "login_links", "api_tokens"}
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())


def test_a_whole_backup_is_read(tmp_path: Path) -> None:
    backup = read(written(tmp_path / "whole", members()))
    assert [user["username"] for user in backup.rows["users"]] == ["admin"]
    assert [series.asset["id"] for series in backup.series] == ["cnc-01"]


def test_backups_of_the_earlier_formats_are_read(tmp_path: Path) -> None:
    token = {"id": 1, "hash": "0" * 64, "name": "grafana", "role": "admin", "user_id": 1}
    token |= {"created": ADMIN["created"], "expires": ADMIN["created"]}
    rows = orjson.dumps({"users": [ADMIN], "assets": [OLD_ASSET], "signals": [OLD_SIGNAL], "api_tokens": [token]})
    samples = parquet(RAW, [ROW], without=("boolean", "int64", "uint64", "status"))
    for format, listed in ((1, {"assets": ["cnc-01"]}), (2, {"assets": ["cnc-01"]}), (3, {"series": [CNC]})):
        said = orjson.dumps({"format": format, "revision": "0001", "raw_since": "1970-01-01", **listed})
        content = [("manifest.json", said), ("database.json", rows), ("samples/0.parquet", samples)]
        content += [("minutes/0.parquet", parquet(MINUTES, []))] if format > 1 else []
        backup = read(tar_of(tmp_path / f"format{format}", content))
        assert backup.rows["assets"][0]["label"] == ""
        assert "api_tokens" not in backup.rows
        assert backup.series[0].asset == CNC


def newest(**changes: Any) -> dict[str, Any]:
    """Return rows of the newest schema."""
    asset = {**ASSET, "state_signal": None, "retired": None}
    users = [{**ADMIN, "scopes": ["plant"]}, {**ADMIN, "id": 2, "username": "li", "scopes": ["asset:cnc-01"]}]
    return tables(users=users, assets=[asset], **changes)


def with_rows(file: Path, rows: dict[str, Any]) -> Path:
    said = {"manifest.json": orjson.dumps(manifest(revision="0006")), "database.json": orjson.dumps(rows)}
    return written(file, members(**said))


def test_numbers_of_64_bits_and_lists_are_read(tmp_path: Path) -> None:
    evidence = [{"signal": "feed", "block": "", "start_ns": 1, "end_ns": 2}]
    event = {"asset": "cnc-01", "id": "e1", "node": "n", "time_ns": ROW["time"], "name": "door", "state": "active"}
    event |= {"condition": "door", "severity": 500, "texts": {"en": "Door"}, "values": {}, "evidence": evidence}
    event |= {"source": "machine", "time_replaced": False}
    backup = read(with_rows(tmp_path / "whole", newest(events=[event])))
    assert backup.rows["events"][0]["evidence"] == evidence
    assert backup.rows["events"][0]["time_ns"] == ROW["time"]
    assert [user["scopes"] for user in backup.rows["users"]] == [["plant"], ["asset:cnc-01"]]
    said = refused(with_rows(tmp_path / "too long", newest(events=[{**event, "time_ns": 2**63}])))
    assert "time_ns has more than 64 bits" in said


@pytest.mark.parametrize("scopes", [[], ["area:machining"], {"plant": 1}, [1]])
def test_scopes_that_are_none(tmp_path: Path, scopes: Any) -> None:
    rows = newest()
    rows["users"][1]["scopes"] = scopes
    assert "what it has of the scopes of 'li' are none" in refused(with_rows(tmp_path / "odd", rows))


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", members()).read_bytes()
    file = tmp_path / "cut"
    end = whole.rindex(b"}") + 1
    for length in (0, 1, 511, 512, 700, *range(1024, end, 2048), end - 1):
        file.write_bytes(whole[:length])
        assert "cut is not a whole backup" in refused(file)


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", members()).read_bytes()
    at = whole.index("加工中心".encode())
    file = tmp_path / "changed"
    file.write_bytes(whole[:at] + "铣".encode() + whole[at + 3 :])
    assert "its checksums are not those of what is in it" in refused(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": FORMAT + 1}, f"it has format {FORMAT + 1}, this version reads up to {FORMAT}"),
        ({"format": True}, "it has format True"),
        ({"revision": "0999"}, "the schema '0999', which this version does not know; update shopfloor"),
        ({"revision": "head"}, "the schema 'head'"),
        ({"raw_since": "yesterday"}, "'yesterday' is not a time"),
        ({"series": [{**CNC, "line": 7}]}, "is no asset at its place"),
        ({"series": [{**CNC, "id": "a\nb"}]}, "is no asset at its place"),
        ({"series": []}, "where checksums.json belongs is 'samples/0.parquet'"),
        ({"series": [CNC, CNC]}, "where samples/1.parquet belongs is 'checksums.json'"),
    ],
)
def test_a_manifest_of_an_unknown_form(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = written(tmp_path / "odd", members(**{"manifest.json": orjson.dumps(manifest(**changes))}))
    assert said in refused(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"users": []}, "none of its users is an admin"),
        ({"users": [{**ADMIN, "disabled": True}]}, "none of its users is an admin"),
        (
            {"users": [ADMIN, {**ADMIN, "id": 2, "username": "eve", "role": "root"}]},
            "the role 'root'; there are viewer",
        ),
        ({"users": [ADMIN, {**ADMIN, "id": 2}]}, "its rows do not fit together: UNIQUE constraint failed: users.user"),
        ({"users": [ADMIN, {**ADMIN, "username": "eve"}]}, "UNIQUE constraint failed: users.id"),
        ({"users": [{**ADMIN, "username": ["admin"]}]}, "row 1 of 'users': username is no str"),
        ({"users": [{**ADMIN, "username": "a" * 65}]}, "username is longer than 64 characters"),
        ({"users": [{**ADMIN, "username": None}]}, "NOT NULL constraint failed: users.username"),
        ({"users": [{**ADMIN, "id": 2**40}]}, "id has more than 32 bits"),
        ({"users": [{**ADMIN, "created": "some day"}]}, "Invalid isoformat string"),
        ({"users": [{**ADMIN, "colour": "red"}]}, "row 1 of 'users' does not have the columns of its schema"),
        ({"users": [{**ADMIN, "username": "A <b>\x1b[2J"}]}, "a user is called 'A <b>\\x1b[2J', which is no user name"),
        ({"users": [{**ADMIN, "username": "admin\n"}]}, "which is no user name"),
        ({"users": [{**ADMIN, "password_hash": "keptsecret"}]}, "the password of 'admin' is no argon2id hash"),
        (
            {"users": [{**ADMIN, "password_hash": str(ADMIN["password_hash"]).replace("19456", "99999999")}]},
            "the password of 'admin' is no argon2id hash",
        ),
        ({"users": {"id": 1}}, "does not have the columns"),
        ({"wishes": []}, "it has a table 'wishes', which its schema does not have"),
        ({"assets": []}, "a row of 'signals' refers to one of 'assets' that is not there"),
        ({"ledger": [{"source": "s", "told": ADMIN["created"], "content": {}}]}, "of the source 's' is no ledger"),
    ],
)
def test_rows_that_no_plant_can_have(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = written(tmp_path / "odd", members(**{"database.json": orjson.dumps(tables(**changes))}))
    assert said in refused(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"users": [], "users": []}', "it says 'users' twice"),
        (b"[" * 100_000, "recursion"),
        (b"not json", "Expecting value"),
        (b"\xff\xfe{}", "can't decode"),
        (b"{" + b'"a":' + b"9" * 10_000 + b"}", "integer string conversion"),
    ],
)
def test_json_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refused(written(tmp_path / "odd", members(**{"database.json": content})))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1 and no more", "not a parquet file"),
        (parquet(RAW, [{**ROW, "signal": None}]), "rows without a signal, a time or a quality"),
        (parquet(RAW, [{**ROW, "quality": None}]), "rows without a signal, a time or a quality"),
        (parquet(RAW, [ROW], without=("time",)), "has the columns"),
        (parquet(pa.schema([*RAW, ("more", pa.string())]), [ROW]), "has the columns"),
        (parquet(RAW.set(2, pa.field("value", pa.string())), [{**ROW, "value": "x"}]), "has a column of another type"),
    ],
)
def test_samples_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refused(written(tmp_path / "odd", members(**{"samples/0.parquet": content})))


@pytest.mark.parametrize(
    "name", ["../samples/0.parquet", "/samples/0.parquet", "samples/0.parquet/", "samples/00.parquet"]
)
def test_a_member_under_another_name_is_refused(tmp_path: Path, name: str) -> None:
    content = [(name if each.startswith("samples") else each, body) for each, body in members().items()]
    assert "where samples/0.parquet belongs is" in refused(tar_of(tmp_path / "paths", content))


def test_a_member_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    good = list(members().items())
    assert "where samples/0.parquet belongs is 'database.json'" in refused(
        tar_of(tmp_path / "twice", [*good[:2], *good[1:]])
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE])
def test_only_plain_files_are_members(tmp_path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "../../secrets/cli-token", 0

    content = [(name, b"" if name.startswith("samples") else body) for name, body in members().items()]
    assert "'samples/0.parquet' in it is no plain file" in refused(tar_of(tmp_path / "kinds", content, change))


def test_a_small_file_that_grows_large_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shopfloor.backup.verify.PARQUET_MEMORY", "64MB")
    text = pa.array(["a" * (200 * 2**20)])
    row = pa.Table.from_pylist([{"asset": "cnc-01", **ROW}], schema=pa.schema([("asset", pa.string()), *RAW]))
    out = io.BytesIO()
    row = row.set_column(row.schema.get_field_index("text"), "text", text)
    pq.write_table(row, out, compression="zstd", use_dictionary=False, write_statistics=False)
    assert len(out.getvalue()) < 10**5
    file = written(tmp_path / "bomb", members(**{"samples/0.parquet": out.getvalue()}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "Out of Memory" in refused(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_json_of_very_many_items_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    bomb = b'{"users":[' + b"[]," * 4_000_000 + b"[]]}"
    file = written(tmp_path / "bomb", members(**{"database.json": bomb}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "database.json in it has 4000000 items, more than 3000000" in refused(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_a_small_file_of_very_many_rows_is_refused(tmp_path: Path) -> None:
    content = parquet(RAW, [ROW])
    table = pq.read_table(io.BytesIO(content))
    out = io.BytesIO()
    pq.write_table(pa.concat_tables([table] * 2).take(pa.repeat(0, 2_000_000)), out, compression="zstd")
    file = written(tmp_path / "bomb", members(**{"samples/0.parquet": out.getvalue()}))
    assert "samples/0.parquet says that it has 2000000 rows; so small a file has at most" in refused(file)


def test_an_extension_of_a_header_cannot_fill_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "extended"
    with tarfile.open(file, "w:", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("manifest.json")
        info.pax_headers = {"comment": "a" * 10**6}
        tar.addfile(info)
    assert "is no plain file" in refused(file)


def test_a_backup_has_the_checksum_of_each_member(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path / "whole", members())) as tar:
        said = tar.extractfile(CHECKSUMS)
        assert said is not None
        assert orjson.loads(said.read()).keys() == members().keys()
