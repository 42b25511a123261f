"""Lines of adapters, as makers write them: what each says, and what is left out, counted and told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.driver import Counters
from edge.drivers._mtconnect.documents import DataItem, Device
from edge.drivers.shdr.lines import MOST_BYTES, Lines

T = "2026-12-01T08:00:00.000Z"
SAMPLE = DataItem("x1", "Xabs", "SAMPLE", "POSITION", "ACTUAL", "MILLIMETER", "VALUE", "", ("mill", "Xabs"))
ITEMS = (
    SAMPLE,
    replace(SAMPLE, id="e1", name="execution", category="EVENT", type="EXECUTION", units=""),
    replace(SAMPLE, id="c1", name="system", category="CONDITION", type="SYSTEM", units=""),
    replace(SAMPLE, id="m1", name="msg", category="EVENT", type="MESSAGE", units=""),
    replace(SAMPLE, id="s1", name="wave", representation="TIME_SERIES"),
    replace(SAMPLE, id="d1", name="vars", category="EVENT", type="VARIABLE", units="", representation="DATA_SET"),
)


def lines(counters: Counters | None = None) -> Lines:
    return Lines("m", Device("Device", "mill", "u1", ITEMS), counters or Counters(), "told")


def read(text: str, reader: Lines | None = None) -> list[str]:
    """Return what the lines say: `id=text`, of a condition `id=Level code/severity/qualifier text`."""
    found, _ = (reader or lines()).feed(text.encode(), "utf-8")
    said = []
    for each in found:
        told = each.text or ""
        if each.tag != "Value":
            facts = "/".join(each.get(name, "") for name in ("nativeCode", "nativeSeverity", "qualifier"))
            told = f"{each.tag} {facts} {told}"
        told = told or ",".join(f"{e.get('key')}:{e.text or ('-' if e.get('removed') else '')}" for e in each)
        said.append(f"{each.get('dataItemId')}={told}")
    return said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{T}|Xabs|1.5", ["x1=1.5"]),
        (f"{T}|Xabs|1.5|execution|ACTIVE", ["x1=1.5", "e1=ACTIVE"]),
        (f"{T}|x1|1.5", ["x1=1.5"]),
        (f"{T}|mill:Xabs|1.5", ["x1=1.5"]),
        (f"{T}|lathe:Xabs|1.5", []),
        (f"{T}@12.5|Xabs|1.5", ["x1=1.5"]),
        (f"{T}|Xabs|unavailable", ["x1=UNAVAILABLE"]),
        (f"{T}|execution|", ["e1="]),
        (f'{T}|execution|"a \\| b"', ["e1=a | b"]),
        (f"{T}|system|FAULT|47|900|HIGH|too hot", ["c1=Fault 47/900/HIGH too hot"]),
        (f"{T}|system|normal||||", ["c1=Normal // "]),
        (f"{T}|system|Unavailable||||", ["c1=Unavailable // "]),
        (f"{T}|system|BROKEN|||", []),
        (f"{T}|system|FAULT|47", ["c1=Fault 47// "]),
        (f"{T}|msg|E1|door open", ["m1=door open"]),
        (f"{T}|wave|3|100|1 2 3|Xabs|1.5", ["s1=3", "x1=1.5"]),
        (f"{T}|vars|a=1 b='x y' c", ["d1=a:1,b:x y,c:-"]),
        (f"{T}|unknown|1|Xabs|1.5", ["x1=1.5"]),
        (f"{T}|Xabs", []),
        ("nothing", []),
        ("", []),
        (f"{T}|@ASSET@|T1|CuttingTool|<xml/>", []),
        (f"{T}|@ASSET@|T1|CuttingTool|--multiline--A\n<a>|Xabs|7</a>\n--multiline--A\n{T}|Xabs|1.5", ["x1=1.5"]),
        (f"\r\n{T}|Xabs|1.5\r", ["x1=1.5"]),
    ],
)
def test_what_a_line_says(line: str, expected: list[str]) -> None:
    assert read(line + "\n") == expected


def test_what_is_left_out_is_counted_and_told_once() -> None:
    counters = Counters()
    reader = lines(counters)
    read(f"{T}|unknown|1\n{T}|unknown|2\n{T}|system|BROKEN|||\nnothing\n{T}|Xabs\n", reader)
    assert counters.rejected == 5
    assert list(counters.notes) == ["key of unknown", "no level of c1", "no line", "no value of Xabs"]


def test_commands_and_lines_in_pieces() -> None:
    reader = lines()
    assert reader.feed(b"* PONG 1000\n* device: mill\n" + T.encode() + b"|Xa", "utf-8") == (
        [],
        ["PONG 1000", "device: mill"],
    )
    assert read("bs|1.5\n", reader) == ["x1=1.5"]


def test_a_line_without_end_takes_no_memory_and_costs_itself_alone() -> None:
    counters = Counters()
    reader = lines(counters)
    for _ in range(3):
        assert read("x" * (MOST_BYTES // 2 + 1), reader) == []
    assert read(f"x\n{T}|Xabs|1.5\n", reader) == ["x1=1.5"]
    assert counters.rejected == 1


def test_texts_in_another_encoding_are_read() -> None:
    found, _ = lines().feed(f"{T}|execution|主轴\n".encode("gbk"), "gbk")
    assert [each.text for each in found] == ["主轴"]
