"""Line protocol: golden lines, round trips, escapes, and errors that point at the place."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.lineprotocol import LineError, Point, Series, decode, encode, head, iterate

GOLDEN = [
    (Point("cnc", {"asset": "cnc-01"}, {"speed": 1200.5}, 1), b"cnc,asset=cnc-01 speed=1200.5 1\n"),
    (Point("cnc", {}, {"a": 1, "b": True, "c": False}, None), b"cnc a=1i,b=true,c=false\n"),
    (
        Point("cnc", {}, {"big": 2**63, "low": -(2**63)}, -1),
        b"cnc big=9223372036854775808u,low=-9223372036854775808i -1\n",
    ),
    (Point("c n,c", {"a b,=": "x y,="}, {"f g,=": 0.5}, 2), b"c\\ n\\,c,a\\ b\\,\\==x\\ y\\,\\= f\\ g\\,\\==0.5 2\n"),
    (Point("t", {}, {"text": 'say "\\" ,='}, 3), b't text="say \\"\\\\\\" ,=" 3\n'),
    (Point("t", {}, {"text": "two\nlines"}, 3), b't text="two\nlines" 3\n'),
    (Point("a\\b", {"c\\d": "e\\\\,f"}, {"g\\h": 1e300}, 4), b"a\\b,c\\d=e\\\\\\,f g\\h=1e+300 4\n"),
    (Point("机床", {"asset": "一号"}, {"温度": 20.5, "t": "热"}, 5), '机床,asset=一号 温度=20.5,t="热" 5\n'.encode()),
    (Point("a=b", {}, {"#": 1.0}, 6), b"a=b #=1.0 6\n"),
    (Point("cnc_uint", {}, {"n": 5, "odd": -1}, 7), b"cnc_uint n=5u,odd=-1i 7\n"),
]


@pytest.mark.parametrize(("point", "line"), GOLDEN)
def test_golden_lines(point: Point, line: bytes) -> None:
    assert encode([point]) == line
    assert decode(line) == [point]


NAMES = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: not name.endswith("\\")
)
MEASUREMENTS = NAMES.filter(lambda name: not name.startswith("#"))
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
POINTS = st.builds(
    Point,
    MEASUREMENTS,
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    st.none() | st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(POINTS, max_size=5))
@example([Point("a", {"b": "c\\,"}, {"d": "\\"}, None)])
@example([Point(" a", {" b": " "}, {" ": ""}, None)])
@example([Point("\t", {}, {"a_b": 1.0}, 2**63 - 1)])
def test_what_is_written_is_read(points: list[Point]) -> None:
    read = decode(encode(points))
    assert read == points
    assert [list(map(type, point.fields.values())) for point in read] == [
        list(map(type, point.fields.values())) for point in points
    ]


@given(st.lists(st.tuples(NAMES, st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=6))
def test_a_series_writes_what_the_encoder_writes(pairs: list[tuple[str, float]]) -> None:
    fields = dict(pairs)
    tags = {"asset": "50% of a b"}
    line = Series("c%d c", tags).line(list(fields), list(fields.values()), 7)
    assert line.encode() == encode([Point("c%d c", tags, fields, 7)])


def test_a_series_writes_numbers_of_all_kinds_as_float() -> None:
    series = Series("cnc", {"asset": "a"})
    assert series.line(("a", "b", "c"), (True, 3, 2**64), 9) == "cnc,asset=a a=1.0,b=3.0,c=1.8446744073709552e+19 9\n"
    assert decode(series.line(["a", "b"], [1e308, 1e308], 9).encode())[0].fields == {"a": 1e308, "b": 1e308}
    with pytest.raises(ValueError, match=r"\['b'\]"):
        series.line(["a", "b"], [1.0, math.nan], 9)
    with pytest.raises(ValueError, match="needs a field"):
        series.line([], [], 9)


@pytest.mark.parametrize(
    "point",
    [
        Point("", {}, {"a": 1.0}, 1),
        Point("#a", {}, {"a": 1.0}, 1),
        Point("a", {"b\\": "c"}, {"a": 1.0}, 1),
        Point("a", {"b": "c\\"}, {"a": 1.0}, 1),
        Point("a", {"b": "c\nd"}, {"a": 1.0}, 1),
        Point("a", {}, {}, 1),
        Point("a", {}, {"a": math.nan}, 1),
        Point("a", {}, {"a": -math.inf}, 1),
        Point("a", {}, {"a": 2**64}, 1),
    ],
)
def test_what_a_line_cannot_hold_is_refused(point: Point) -> None:
    with pytest.raises(ValueError, match="line"):
        encode([point])


def test_empty_tags_are_left_out() -> None:
    assert head("a", {"b": "", "c": "d"}) == "a,c=d"


def test_other_spellings_are_understood() -> None:
    lines = b"\n# a comment, a=1\r\n  \n"
    lines += b"a,b=c f=1,g=2i,h=3u,i=t,j=FALSE,k=-.5e-3,l=+1. \r\n"
    lines += b" a  x=1  12  \r\na x=1 7\r\nb y=2"
    assert decode(lines) == [
        Point("a", {"b": "c"}, {"f": 1.0, "g": 2, "h": 3, "i": True, "j": False, "k": -0.0005, "l": 1.0}, None),
        Point("a", {}, {"x": 1.0}, 12),
        Point("a", {}, {"x": 1.0}, 7),
        Point("b", {}, {"y": 2.0}, None),
    ]


def test_times_have_a_unit() -> None:
    assert decode(b'a x=1 2\na x="" 3', unit_ns=1_000_000) == [
        Point("a", {}, {"x": 1.0}, 2_000_000),
        Point("a", {}, {"x": ""}, 3_000_000),
    ]


ERRORS = [
    (b"a x=1 1\nb", 2, 2, "a space and fields were expected"),
    (b"a x=1 1\n\n\nb x=nan 1", 4, 5, "'nan' is no value"),
    (b"a x=1_0 1", 1, 5, "'1_0' is no value"),
    (b"a x=inf 1", 1, 5, "'inf' is no value"),
    (b"a x=1e999 1", 1, 5, "'1e999' is no value"),
    (b"a x=\xef\xbc\x91 1", 1, 5, "is no value"),
    (b"a x=9223372036854775808i", 1, 5, "is no value"),
    (b"a x=-1u", 1, 5, "is no value"),
    (b"a x=,y=1", 1, 5, "a value was expected"),
    (b"a x", 1, 3, "name=value"),
    (b"a =1", 1, 3, "name=value"),
    (b"a x=1,", 1, 7, "name=value"),
    (b"a x=1=2", 1, 5, "'1=2' is no value"),
    (b"a x=1 y=2", 1, 6, "a time or the end of the line"),
    (b"a x=1 99999999999999999999", 1, 6, "64 bits"),
    (b"a x=1 9223372036854775808", 1, 6, "64 bits"),
    (b"a,b=1,b=2 x=1", 1, 6, "'b' stands twice"),
    (b"a,b x=1", 1, 2, "a tag as name=value"),
    (b"a,b= x=1", 1, 2, "a tag as name=value"),
    (b",b=1 x=1", 1, 1, "a measurement was expected"),
    (b'a x="open\nb x=1', 1, 5, "not closed"),
    (b'a t="1\n2" 1\nb x=', 3, 5, "a value was expected"),
    (b"a x=1\nb\xff x=1\n", 2, 2, "not UTF-8"),
]


@pytest.mark.parametrize(("data", "number", "column", "what"), ERRORS)
def test_an_error_points_at_its_place(data: bytes, number: int, column: int, what: str) -> None:
    with pytest.raises(LineError) as caught:
        decode(data)
    error = caught.value
    assert (error.number, error.column) == (number, column)
    assert what in str(error)
    assert error.line in data


def test_points_before_an_error_are_delivered() -> None:
    points = iterate(b"a x=1 1\nbad")
    assert next(points).time_ns == 1
    with pytest.raises(LineError):
        next(points)


@given(st.binary(max_size=60) | st.text('abc,= \\"\n\r#1.e-+iut_', max_size=40).map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        points = decode(data)
    except LineError as error:
        assert error.number >= 1
        assert error.column >= 1
    else:
        assert decode(encode(points)) == points


@pytest.mark.parametrize(
    "line", [b"a x=" + b"\\," * 50_000, b"a" * 100_000, b'a x="' + b"\\\\" * 50_000, b"a," * 50_000]
)
def test_a_long_bad_line_is_not_slow(line: bytes) -> None:
    with pytest.raises(LineError):
        decode(line)


@pytest.mark.parametrize("bare", ["i", "u", "-i", "1_0i", "+1i", "9223372036854775808i", "-1u", "tru", "1e400", "0x1i"])
def test_d2_what_is_no_value_is_refused_and_never_searched_for_long(bare: str) -> None:
    with pytest.raises(LineError):
        decode(f"a b={bare} 1\n".encode())


def test_d2_d3_lines_of_one_type_are_read_as_they_are() -> None:
    [point] = decode(b"a b=t,c=false,d=-5i,e=18446744073709551615u,f=1.5 1\n")
    assert point.fields == {"b": True, "c": False, "d": -5, "e": 2**64 - 1, "f": 1.5}
    assert [type(value) for value in point.fields.values()] == [bool, bool, int, int, float]
