"""Series as text: `value@ms`, `!` after a value marks bad quality, `_` is no value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.model import Datatype, Quality, Sample, Signal
from edge.filter import Filter, Read, coerce, inferred

MS = 1_000_000
START = 1_700_000_000_000  # ms


def samples(text: str) -> list[Sample]:
    made = []
    for word in text.split():
        value, _, time = word.partition("@")
        bad = value.endswith("!")
        number = None if value == "_" else float(value.rstrip("!"))
        made.append(Sample("a", "s", (START + int(time)) * MS, number, Quality.BAD if bad else Quality.GOOD))
    return made


def text(made: list[Sample]) -> str:
    words = []
    for sample in made:
        value = "_" if sample.value is None else f"{sample.value:g}"
        time = f"{sample.time_ns // MS - START}" + (f"+{sample.time_ns % MS}" if sample.time_ns % MS else "")
        words.append(f"{value}{'' if sample.quality == Quality.GOOD else '!'}@{time}")
    return " ".join(words)


def run(source: str, signal: Signal, now: int = 10_000) -> str:
    return text(Filter([signal]).update(samples(source), (START + now) * MS))


def test_without_deadband_and_period_everything_passes() -> None:
    assert run("1@0 1@1 2@2 2!@3 _@4", Signal("s")) == "1@0 1@1 2@2 2!@3 _!@4"


def test_a_repeat_is_left_out() -> None:
    assert run("1@0 1@0 1@1 1@1", Signal("s")) == "1@0 1@1"


def test_times_strictly_increase() -> None:
    assert run("1@5 2@5 3@5 4@4 5@6", Signal("s")) == "1@5 2@5+1 3@5+2 4@5+3 5@6"


def test_a_clock_that_is_set_back_or_far_ahead_gets_the_time_of_arrival() -> None:
    assert run("1@8000 2@10", Signal("s")) == "1@8000 2@10000"
    assert run("1@999999 2@10000", Signal("s")) == "1@10000 2@10000+1"


def test_after_a_clock_that_was_an_hour_ahead_times_are_right_again_at_once() -> None:
    hour = 3_600_000
    for signal in (Signal("s", deadband=1), Signal("s", period_s=1), Signal("s")):
        jumped = Filter([signal])
        jumped.resume((START + hour) * MS)
        assert text(jumped.update(samples("1@100"), (START + hour) * MS)) == f"1@{hour}+1"
        assert text(jumped.update(samples("1@200"), (START + 200) * MS)) == "1@200"
        assert text(jumped.update(samples("3@1300"), (START + 1300) * MS)) == "3@1300"


def test_deadband_looks_at_what_was_sent() -> None:
    assert run("10@0 10.5@1 11@2 11.1@3 11.5@4 9@5", Signal("s", deadband=1)) == "10@0 11.1@3 9@5"


def test_a_change_of_quality_always_passes() -> None:
    assert run("10@0 10!@1 10!@2 10@3", Signal("s", deadband=5, period_s=1)) == "10@0 10!@1 10@3"


def test_with_a_deadband_a_value_passes_every_20_s() -> None:
    source = " ".join(f"1@{second * 1000}" for second in range(0, 50, 5))
    assert run(source, Signal("s", deadband=1), now=50_000) == "1@0 1@20000 1@40000"


def test_the_last_value_inside_a_period_waits_for_its_end() -> None:
    quiet = Filter([Signal("s", period_s=0.1)])
    assert text(quiet.update(samples("1@0 2@10 3@20"), START * MS)) == "1@0"
    assert quiet.waits
    assert quiet.flush((START + 99) * MS) == []
    assert text(quiet.flush((START + 100) * MS)) == "3@20"
    assert not quiet.waits
    assert text(quiet.update(samples("4@121 5@122"), (START + 121) * MS)) == "4@121"
    assert text(quiet.drain()) == "5@122"


def test_what_came_back_into_the_deadband_does_not_wait() -> None:
    quiet = Filter([Signal("s", period_s=0.1, deadband=1)])
    assert text(quiet.update(samples("1@0 9@10 1@20"), START * MS)) == "1@0"
    assert quiet.drain() == []


def test_after_a_loss_the_first_value_passes_dated_at_the_return() -> None:
    back = Filter([Signal("s", deadband=5)])
    assert text(back.update(samples("1@0 1@1"), START * MS)) == "1@0"
    back.resume((START + 5000) * MS)
    assert text(back.update(samples("1@0"), (START + 5001) * MS)) == "1@5001"


def at(time: int) -> int:
    return (START + time) * MS


def test_what_the_source_recorded_is_missing_where_nobody_read_it() -> None:
    past, live = Filter([Signal("s")]), Filter([Signal("s")])
    past.update(samples("1@0 2@10"), at(10))
    past.rewind()
    live.resume(at(100))
    record = samples("1@0 2@10 3@11 4@50 5@60")
    assert text(past.missing(record, live)) == "3@11 4@50 5@60"
    assert text(live.update(samples("4@50 5@60"), at(100))) == "4@100+1 5@100+2"
    assert text(past.missing(record, live)) == "3@11 4@50"
    assert (past.before_ns, live.begun_ns) == (at(10), at(50))


def test_what_was_read_between_two_losses_is_not_missing() -> None:
    past, between, live = (Filter([Signal("s")]) for _ in range(3))
    past.update(samples("1@0"), at(0))
    past.rewind()
    between.update(samples("3@20 4@30"), at(30))
    past.leave_out(between)
    live.update(samples("6@50"), at(50))
    assert text(past.missing(samples("1@0 2@10 3@20 4@30 5@40 6@50 7@60"), live)) == "2@10 3@20 5@40 6@50"


def test_a_later_filter_is_told_what_was_read() -> None:
    first = Filter([Signal("s"), Signal("t")])
    first.update(samples("1@0"), at(0))
    told = first.read(["s", "t"], None)
    past, live = Filter([Signal("s"), Signal("t")], told), Filter([Signal("s"), Signal("t")])
    live.update(samples("3@20 4@30"), at(30))
    still_open = live.read(["s"], past)
    assert told == {"s": Read(at(0))}
    assert still_open == {"s": Read(at(0), ((at(20) + 1, at(30)),))}
    later = Filter([Signal("s"), Signal("t")], still_open)
    assert text(later.missing(samples("1@0 2@10 3@20 4@30 5@40"), Filter([Signal("s")]))) == "2@10 3@20 5@40"


def test_a_record_keeps_its_times_though_others_were_given_out() -> None:
    past, live = Filter([Signal("s")]), Filter([Signal("s")])
    past.resume(at(5000))
    past.update(samples("1@0"), at(5000))
    past.rewind()
    own = past.missing(samples("1@0 2@10 3@20"), live)
    assert text(past.update(own, own[-1].time_ns)) == "2@10 3@20"


def test_a_source_whose_clock_was_set_back_is_read_anew() -> None:
    past, live = Filter([Signal("s")]), Filter([Signal("s")])
    past.update(samples("1@5000"), at(5000))
    past.rewind()
    live.update(samples("3@30"), at(6000))
    assert text(past.missing(samples("2@20 3@30"), live)) == "2@20 3@30"


def test_a_sample_without_a_value_does_not_tell_what_was_read() -> None:
    live = Filter([Signal("s"), Signal("t")])
    live.update(samples("_@90"), at(100))
    assert (live.read(["s"], None), live.begun_ns, live.has_all) == ({}, 0, False)


def test_what_waits_is_not_read_yet() -> None:
    slow = Filter([Signal("s", period_s=0.1)])
    slow.update(samples("1@0 2@10"), at(0))
    assert slow.read(["s"], None) == {"s": Read(at(0))}
    slow.flush(at(200))
    assert slow.read(["s"], None) == {"s": Read(at(10))}


def test_values_take_the_datatype_of_their_signal() -> None:
    assert coerce(3, Datatype.DOUBLE) == 3.0
    assert coerce(float("nan"), Datatype.DOUBLE) is None
    assert coerce(1e39, Datatype.FLOAT) is None
    assert coerce("12", Datatype.INT16) == 12
    assert coerce(12.5, Datatype.INT16) is None
    assert coerce(40000, Datatype.INT16) is None
    assert coerce("ON", Datatype.BOOLEAN) is True
    assert coerce(2, Datatype.BOOLEAN) is None
    assert coerce(True, Datatype.STRING) == "true"
    assert [inferred(v) for v in (True, 1, 1.5, "x")] == [
        Datatype.BOOLEAN,
        Datatype.DOUBLE,
        Datatype.DOUBLE,
        Datatype.STRING,
    ]


def test_what_does_not_fit_is_bad_and_counted() -> None:
    strict = Filter([Signal("s", Datatype.UINT8)])
    assert text(strict.update(samples("1@0 300@1 -1@2"), START * MS)) == "1@0 _!@1 _!@2"
    assert strict.misfits == 2


@given(
    st.lists(st.tuples(st.integers(-5000, 5000), st.floats()), max_size=50),
    st.floats(0, 3),
    st.sampled_from([0.0, 0.05, 1.0]),
)
def test_whatever_comes_times_increase_and_the_last_value_is_near(
    source: list[tuple[int, float]], deadband: float, period_s: float
) -> None:
    under_test = Filter([Signal("s", deadband=deadband, period_s=period_s)])
    passed: list[Sample] = []
    for time, value in source:
        passed += under_test.update([Sample("a", "s", (START + time) * MS, value)], (START + 6000) * MS)
    passed += under_test.drain()
    times = [sample.time_ns for sample in passed]
    assert times == sorted(set(times))
    if source:
        last = coerce(source[-1][1], Datatype.DOUBLE)
        shown = passed[-1].value
        assert shown is None if last is None else isinstance(shown, float) and abs(shown - last) <= deadband
