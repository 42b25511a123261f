"""Lists of tags: what is taken, what is told, and that what goes out comes back equal."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge import taglists
from edge.drivers import driver_names
from edge.taglist import TagListError, Taken, entry_of, export, signal_model, take
from edge.taglists import _source

TIA = """Name,Path,Data Type,Logical Address,Comment,Hmi Visible
Motor_On,Default tag table,Bool,%Q0.1,Main motor,True
Speed,Default tag table,Int,%MW20,,True
Level,Default tag table,Real,%ID64:P,"Level, in mm",True
Big,Default tag table,LReal,%M40.0,,True
In DB,Default tag table,DInt,%DB5.DBD8,,True
Clock,Default tag table,Timer,%T1,,True
When,Default tag table,DTL,%MW100,,True
Hidden,Default tag table,Int,,,True
"""
KEPSERVEREX = (
    "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,"
    "Scaled High,Scaled Data Type,Clamp Low,Clamp High,Eng Units,Description,Negate Value\n"
    '"Tank.Level","400101",Word,1,R/W,100,Linear,0,4095,0,100,Float,0,0,"%","Level",0\n'
    '"Pump","000001",Boolean,1,R/W,100,,,,,,,,,,"",\n'
    '"Alarm","400005.3",Boolean,1,RO,100,,,,,,,,,,"",\n'
    '"Flow","300002",Float,1,RO,100,Square Root,0,1,0,1,Float,0,0,,"",0\n'
    '"Names","400200",Word Array,1,RO,100,,,,,,,,,,"",\n'
)
L5X = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<RSLogix5000Content SchemaRevision="1.0" TargetName="Line" TargetType="Controller">
<Controller Name="Line">
<DataTypes><DataType Name="Axis" Family="NoFamily"><Members>
<Member Name="ZZZZZZZZZZAxis0" DataType="SINT" Dimension="0" Hidden="true"/>
<Member Name="Running" DataType="BIT" Dimension="0" Hidden="false" Target="ZZZZZZZZZZAxis0" BitNumber="0"/>
<Member Name="Position" DataType="REAL" Dimension="0"><Description><![CDATA[in mm]]></Description></Member>
<Member Name="Gains" DataType="REAL" Dimension="2"/>
</Members></DataType></DataTypes>
<Tags>
<Tag Name="Speed" TagType="Base" DataType="DINT" ExternalAccess="Read/Write"><Description><![CDATA[of the
spindle]]></Description></Tag>
<Tag Name="X" TagType="Base" DataType="Axis"/>
<Tag Name="Temps" TagType="Base" DataType="REAL" Dimensions="2 2"/>
<Tag Name="Long" TagType="Base" DataType="INT" Dimensions="1000"/>
<Tag Name="Delay" TagType="Base" DataType="TIMER"/>
<Tag Name="Secret" TagType="Base" DataType="DINT" ExternalAccess="None"/>
<Tag Name="XPos" TagType="Alias" AliasFor="X.Position"/>
<Tag Name="Bit3" TagType="Alias" AliasFor="Speed.3"/>
<Tag Name="Card" TagType="Alias" AliasFor="Local:1:I.Data.0"/>
<Tag Name="Round" TagType="Alias" AliasFor="Round"/>
<Tag Name="Drive" TagType="Base" DataType="MESSAGE"/>
</Tags>
<Programs><Program Name="Main"><Tags>
<Tag Name="Count" TagType="Base" DataType="DINT"/>
</Tags></Program></Programs>
</Controller></RSLogix5000Content>
"""


def taken(tmp_path: Path, content: str | bytes, driver: str, name: str = "list.csv") -> Taken:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return take(path, driver)


def told(found: Taken) -> dict[str, str]:
    return {each.what: each.why for each in found.left}


def test_a_tag_table_of_tia_portal(tmp_path: Path) -> None:
    found = taken(tmp_path, TIA, "s7")
    assert found.signals == {
        "Motor_On": {"address": "Q0.1:BOOL", "description": "Main motor"},
        "Speed": {"address": "MW20:INT"},
        "Level": {"address": "ID64:REAL", "description": "Level, in mm"},
        "Big": {"address": "MD40:LREAL"},
        "In_DB": {"address": "DB5.DBD8:DINT"},
    }
    assert [(each.line, each.what) for each in found.left] == [(7, "Clock"), (8, "When"), (9, "Hidden")]
    assert "optimised block" in told(found)["Hidden"]
    assert "the driver is s7" in told(taken(tmp_path, TIA, "modbus"))["Speed"]


def test_a_german_tag_table_in_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in (["Name", "Pfad", "Datentyp", "Logische Adresse", "Kommentar"], ["Druck", "T", "Real", "%ED64", None]):
        sheet.append(row)
    book.save(tmp_path / "PLCTags.xlsx")
    assert take(tmp_path / "PLCTags.xlsx", "s7").signals == {"Druck": {"address": "ID64:REAL"}}


def test_a_list_of_kepserverex(tmp_path: Path) -> None:
    found = taken(tmp_path, KEPSERVEREX, "modbus")
    assert found.signals == {
        "Tank/Level": {
            "register": "holding/100", "type": "uint16", "scale": pytest.approx(100 / 4095), "offset": 0.0, "unit": "%",
            "description": "Level",
        },
        "Pump": {"register": "coil/0"},
        "Alarm": {"register": "holding/4.3"},
    }  # fmt: skip
    assert {each.what for each in found.left} == {"Flow", "Names"}
    assert "no factor and offset" in told(found)["Flow"]


def test_the_tags_of_an_l5x(tmp_path: Path) -> None:
    found = taken(tmp_path, L5X, "logix", "line.L5X")
    tags = {entry["tag"]: entry["datatype"] for entry in found.signals.values()}
    assert {tag: tags[tag] for tag in tags if not tag.startswith(("Long", "Delay"))} == {
        "Speed": "int32", "X.Running": "boolean", "X.Position": "float", "X.Gains[0]": "float", "X.Gains[1]": "float",
        "Temps[0,0]": "float", "Temps[0,1]": "float", "Temps[1,0]": "float", "Temps[1,1]": "float", "XPos": "float",
        "Bit3": "boolean", "Program:Main.Count": "int32",
    }  # fmt: skip
    assert [tag for tag in tags if tag.startswith("Delay")] == [f"Delay.{w}" for w in ("PRE", "ACC", "EN", "TT", "DN")]
    assert sum(tag.startswith("Long") for tag in tags) == 100
    assert found.signals["Main/Count"]["tag"] == "Program:Main.Count"
    assert found.signals["Speed"]["description"] == "of the spindle"
    assert found.signals["XPos"]["description"] == "in mm"
    assert set(told(found)) == {"Long", "Secret", "Card", "Round", "Drive"}
    assert all(each.line for each in found.left)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (L5X.replace("<RSLogix", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><RSLogix', 1), "document type"),
        (L5X[:-40], "no XML that can be read"),
        ("", "there is nothing in it"),
        ("a,b\n1,2\n", "a table needs a column `name`"),
        ("name,register\n" + '"' + "x" * 200_000 + '",1\n', "no CSV"),
        (b"PK\x03\x04 nothing", "no table of Excel"),
        (b"\xff\xfen\0a\0m", "begins as utf-16 and is not"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: str | bytes, why: str) -> None:
    with pytest.raises(TagListError) as error:
        taken(tmp_path, content, "logix", "x")
    assert why in str(error.value)


def test_structures_that_multiply_are_bounded(tmp_path: Path) -> None:
    types = "".join(
        f'<DataType Name="D{at}"><Members><Member Name="M" DataType="D{at + 1}" Dimension="100"/></Members></DataType>'
        for at in range(6)
    )
    types = f"<DataTypes>{types}<DataType Name='D6'><Members/></DataType></DataTypes>"
    text = f"{L5X.partition('<DataTypes>')[0]}{types}"
    with pytest.raises(TagListError, match="more than 1000000 members and elements"):
        taken(tmp_path, f"{text}<Tags><Tag Name='A' DataType='D0'/></Tags></Controller></RSLogix5000Content>", "logix")


def test_an_excel_file_that_unpacks_to_much_or_names_entities_is_refused(tmp_path: Path) -> None:
    for inside, why in (
        (b"0" * (_source.MOST_UNPACKED + 1), "unpacked it has more"),
        (b"<!DOCTYPE x>", "document type"),
    ):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("xl/workbook.xml", inside)
        with pytest.raises(TagListError, match=why):
            taken(tmp_path, out.getvalue(), "s7", "x.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gbk"])
@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_tables_of_any_encoding_and_delimiter(tmp_path: Path, encoding: str, delimiter: str) -> None:
    scale = "0.5" if delimiter == "," else "0,5"
    rows = (("Name", "Register", "Scale", "描述"), ("p", "40101", scale, "压力; 表"), ("q", "holding/7", "", ""))
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    assert taken(tmp_path, text.encode(encoding), "modbus").signals == {
        "p": {"register": "holding/100", "scale": 0.5, "description": "压力; 表"},
        "q": {"register": "holding/7"},
    }


def test_what_is_wrong_in_a_row_is_told_and_others_are_taken(tmp_path: Path) -> None:
    rows = ("a,7x,,,", "b,40001,red,1,WAHR", ",40002,,,", "b,40003,,,", "c d,40004,,x,", "é,40005,,,")
    text = "\n".join(("name,register,colour,low,writable", *rows))
    found = taken(tmp_path, text, "modbus")
    assert found.signals == {"b": {"register": "holding/0", "low": 1.0, "writable": True}}
    assert [(each.line, each.what) for each in found.left] == [
        (2, "a"), (4, "40002"), (5, "b"), (6, "c d"), (7, "é"), (1, "colour"),
    ]  # fmt: skip
    assert "no register" in told(found)["a"]
    assert "there is a signal 'b' already" in told(found)["b"]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    said = {"unit": "=cmd|' /C calc'!A0", "description": "'-x", "low": -5}
    signal = signal_model("modbus").model_validate({"register": "40001", **said})
    for name in ("out.csv", "out.xlsx"):
        path = tmp_path / name
        path.write_bytes(export({"a": signal}, path))
        assert take(path, "modbus").signals == {"a": {"register": "holding/0", **said}}
    assert b"'=cmd" in (tmp_path / "out.csv").read_bytes()
    cells = [cell.value for row in openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0] for cell in row]
    assert not any(isinstance(cell, str) and cell.startswith("=") for cell in cells)


def test_every_format_is_known_by_its_file() -> None:
    assert taglists.format_names() == ["kepserverex", "l5x", "tia", "plain"]
    for name in taglists.format_names():
        assert {"fits", "read"} <= vars(taglists.load(name)).keys()


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.just("\n"), max_size=12
) | st.sampled_from(
    ["[1]", "{}", "'=x", "''=", "=1", "-5", "-", "@a", "+1", "1,5", "0x1F", "true", "1e5", ";", '"', "\t", " x "]
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
_FOUND = {
    "http": {"path": st.sampled_from(["a.b", "x[0]", "@"])},
    "logix": {"tag": st.sampled_from(["Speed", "Axis[0].X", "Program:Main.A"])},
    "mc": {"device": st.sampled_from(["D100", "M5"])},
    "modbus": {"register": st.sampled_from(["holding/3", "40007"]), "type": st.sampled_from([None, "int32", "uint16"])},
    "mqtt": {"path": st.sampled_from(["a.b", "@"])},
    "shdr": {"data_item": st.sampled_from(["Xpos", "a-1"])},
    "mtconnect": {"data_item": st.sampled_from(["Xpos", "a-1"])},
    "opcua": {"node": st.sampled_from(["ns=2;s=a,b;c", "i=85", "nsu=urn:x;s==1"])},
    "s7": {"address": st.sampled_from(["DB1.DBD4:REAL", "MW20:INT"])},
}


@st.composite
def _signals(draw: Any) -> tuple[str, dict[str, Any]]:
    driver = draw(st.sampled_from(driver_names()))
    model, signals = signal_model(driver), {}
    for name in draw(
        st.lists(st.from_regex(r"[A-Za-z0-9_./-]{1,12}", fullmatch=True), min_size=1, max_size=4, unique=True)
    ):
        said = draw(
            st.fixed_dictionaries(
                _FOUND.get(driver, {}),
                optional={
                    "unit": _TEXT, "description": _TEXT, "low": _NUMBERS, "high": _NUMBERS, "scale": _NUMBERS,
                    "offset": _NUMBERS, "writable": st.booleans(), "values": st.dictionaries(_TEXT, _TEXT, max_size=2),
                    "datatype": st.sampled_from(["double", "string", "int32"]), "period_s": st.floats(0, 100),
                },
            )
        )  # fmt: skip
        try:
            signals[name] = model.model_validate({key: each for key, each in said.items() if each is not None})
        except ValidationError:
            continue
    return driver, signals


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
@given(_signals())
def test_what_goes_out_comes_back_equal(name: str, drawn: tuple[str, dict[str, Any]]) -> None:
    driver, signals = drawn
    if not signals:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(export(signals, path))
        found = take(path, driver)
    assert found.left == []
    assert found.signals == {each: entry_of(signal) for each, signal in signals.items()}
    model = signal_model(driver)
    assert {each: model.model_validate(entry) for each, entry in found.signals.items()} == signals
