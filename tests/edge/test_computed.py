"""Signals that are computed from others, as series in text: `a@1=5` is a sample of `a` at 1 s."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.model import Datatype, Quality, Sample, Value
from edge.computed import Computed
from edge.config import PlantFileError, parse_plant
from edge.expression import Expression, ExpressionError
from edge.notes import Notes

START_NS = 1_700_000_000 * 10**9


def series(text: str) -> list[Sample]:
    return [_sample(*found) for found in re.findall(r"(\S+)@(\d+)=(\S+?)([?!]?)(?:\s|$)", text)]


def _sample(name: str, at: str, value: str, mark: str) -> Sample:
    quality = {"?": Quality.UNCERTAIN, "!": Quality.BAD}.get(mark, Quality.GOOD)
    return Sample("m", name, START_NS + int(at) * 10**9, None if value == "None" else float(value), quality)


def shown(samples: list[Sample]) -> str:
    marks = {Quality.GOOD: "", Quality.UNCERTAIN: "?", Quality.BAD: "!"}
    return " ".join(
        f"{each.signal}@{(each.time_ns - START_NS) // 10**9}={each.value}{marks[Quality(each.quality)]}"
        for each in samples
    )


def computed(notes: Notes | None = None, **expressions: str) -> Computed:
    made = {name: Expression(text) for name, text in expressions.items()}
    return Computed("m", made, {}, Notes() if notes is None else notes)


@pytest.mark.parametrize(
    ("expressions", "batches", "said"),
    [
        ({"p": "a + b"}, ["a@1=1", "b@2=2", "a@3=5 b@3=7"], ["", "p@2=3.0", "p@3=12.0"]),
        ({"p": "a + b"}, ["a@1=1 a@2=2 b@1=10 b@2=20"], ["p@1=11.0 p@2=22.0"]),
        ({"q": "p * 2", "p": "a + 1"}, ["a@1=1"], ["p@1=2.0 q@1=4.0"]),
        ({"p": "a + b"}, ["a@1=1? b@1=2", "b@2=2!", "a@3=1"], ["p@1=3.0?", "p@2=3.0!", "p@3=3.0!"]),
        ({"p": "a + b"}, ["a@1=1 b@1=2", "b@2=None!", "b@3=4"], ["p@1=3.0", "p@2=None!", "p@3=5.0"]),
        ({"p": "a / b"}, ["a@1=1 b@1=0", "b@2=2"], ["p@1=None!", "p@2=0.5"]),
        ({"p": "a * 2"}, ["a@5=5", "a@3=3", "a@6=6"], ["p@5=10.0", "", "p@6=12.0"]),
        ({"p": "a * 2"}, ["a@50=5", " ".join(f"a@{at}=1" for at in range(1, 12))], ["p@50=10.0", "p@10=2.0 p@11=2.0"]),
        ({"p": "[x/y-z.1] + 1"}, ["x/y-z.1@1=1", "other@2=4"], ["p@1=2.0", ""]),
    ],
)
def test_a_series_is_computed(expressions: dict[str, str], batches: list[str], said: list[str]) -> None:
    of_machine = computed(**expressions)
    assert [shown(of_machine.update(series(batch), START_NS + 10**12)) for batch in batches] == said


def test_what_cannot_be_computed_is_told_once() -> None:
    notes = Notes()
    of_machine = computed(notes, p="a / b")
    of_machine.update(series("a@1=1 b@1=0"), START_NS)
    of_machine.update(series("a@2=1"), START_NS)
    assert len(notes) == 1
    assert "m/p: it cannot be computed (float division by zero)" in next(iter(notes.values()))


def test_nothing_is_computed_with_values_from_before_a_loss() -> None:
    of_machine = computed(p="a + b")
    of_machine.update(series("a@1=1 b@1=2"), START_NS)
    of_machine.forget()
    assert shown(of_machine.update(series("a@9=1"), START_NS)) == ""
    assert shown(of_machine.update(series("b@9=1"), START_NS)) == "p@9=2.0"


def test_a_text_that_is_to_be_a_number_counts_as_one() -> None:
    of_machine = Computed("m", {"p": Expression("a + 1")}, {"a": Datatype.DOUBLE}, Notes())
    assert of_machine.update([Sample("m", "a", START_NS, "4.5")], START_NS)[0].value == 5.5


@pytest.mark.parametrize(
    ("text", "values", "value"),
    [
        ("a if state == 'ACTIVE' else 0", {"a": 5, "state": "ACTIVE"}, 5),
        ("1 < a < 10 and not off", {"a": 5, "off": False}, True),
        ("max(a, b, 3) - min(a, b)", {"a": 5, "b": 1}, 4),
        ("round(a, 1)", {"a": 1.26}, 1.3),
        ("-a ** 2", {"a": 3}, -9),
        ("state == '[a/b]'", {"state": "[a/b]"}, True),
        ("[ if ] + min", {"if": 1, "min": 2}, 3),
        ("a * 2", {"a": 2**62}, 2**63),
        ("hypot(a, b)", {"a": 3, "b": 4}, 5),
    ],
)
def test_expressions(text: str, values: dict[str, Value], value: Value) -> None:
    expression = Expression(text)
    assert expression.names == values.keys()
    assert expression.value(values) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a +", "is no expression"),
        ("", "is no expression"),
        ("a = 1", "is no expression"),
        ("a.b", "'a.b' is not allowed"),
        ("a[0]", "is no expression"),
        ("().__class__", "has no meaning here"),
        ("__import__('os')", "has no meaning here"),
        ("open('x')", "there is no function 'open'; have: abs"),
        ("sqr(a)", "there is no function 'sqr'; did you mean 'sqrt'?"),
        ("(lambda: 1)()", "is not allowed"),
        ("[x for x in a]", "has no meaning here"),
        ("{1: 2}", "is not allowed"),
        ("f'{a}'", "is not allowed"),
        ("a << 2", "is not allowed"),
        ("a in b", "is not allowed"),
        ("round(number=a)", "is not allowed"),
        ("None", "no number and no text"),
        ("1" * 40, "more than 64 bits"),
        ("-" * 40 + "a", "levels deep"),
        ("(" * 300 + "a" + ")" * 300, "is no expression"),
        ("a" * 1001, "it has 1001 characters"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, why: str) -> None:
    with pytest.raises(ExpressionError) as error:
        Expression(text)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["9 ** 9 ** 9 ** 9", "a ** -0.5", "(0 - 1) ** 0.5", "'x' * 9999999", "'x' + 'y'", "round(9, -9999999999) / 0",
     "exp(99999)", "int(a) / (a - a)", "log(a - a)", "float('1')"],
)  # fmt: skip
def test_what_has_no_value_ends_at_once_and_in_words(text: str) -> None:
    begun_s = time.monotonic()
    with pytest.raises((ValueError, ArithmeticError, TypeError)):
        Expression(text).value({"a": 0})
    assert time.monotonic() - begun_s < 1


@given(st.text(alphabet="ab01.+-*/%<>=!()[]'\" ,ifelsoandt_", max_size=40))
def test_any_text_is_refused_or_gives_a_value_or_an_error(text: str) -> None:
    try:
        expression = Expression(text)
        found = expression.value(dict.fromkeys(expression.names, 2.0))
    except (ValueError, ArithmeticError, TypeError):
        return
    assert isinstance(found, float | int | str)


def plant(entry: str) -> str:
    return f"""enterprise: e
site: s
areas:
  a:
    lines:
      l:
        machines:
          m:
            driver: modbus
            address: modbus://127.0.0.1
            signals:
              a: {{register: holding/0}}
              b: {{register: holding/1}}
            computed:
{entry}
"""


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("              p: a + c", "15: machines.m.computed.p.expression: no signal 'c'; "),
        ("              p: a +", "15: machines.m.computed.p.expression: 'a +' is no expression"),
        ("              p: q\n              q: {expression: p}", "needs itself: "),
        ("              a: b", "15: machines.m.computed.a: a signal of this name stands under `signals:`, too"),
        ("              p:\n                unit: W", "missing key 'expression'"),
    ],
)
def test_wrong_expressions_are_told_with_their_line(entry: str, said: str) -> None:
    with pytest.raises(PlantFileError) as error:
        parse_plant(plant(entry), Path("plant.yaml"))
    assert said in str(error.value)


def test_a_computed_signal_is_one_of_its_machine() -> None:
    said = plant("              p: {expression: a + b, unit: W, high: 9}\n            state: p")
    line = parse_plant(said, Path("plant.yaml")).lines[0]
    asset: Any = line.machines["m"].asset(line.place, "m")
    assert [(each.name, each.unit, each.writable) for each in asset.signals][-1] == ("p", "W", False)
