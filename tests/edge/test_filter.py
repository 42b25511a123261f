"""Series as text: `value@ms`, `!` marks bad quality, `~` a time that was replaced, `_` is no value.

`@none` is a sample without a time, `@frozen…` a time as it is; what is late stands behind `|`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.model import TIME_REPLACED, Datatype, Quality, Sample, Signal, base_quality
from edge.coercion import coerce, inferred
from edge.dating import Bounds
from edge.filter import Filter, Passed
from edge.read import Read

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
        marks = "" if base_quality(sample.quality) == Quality.GOOD else "!"
        marks += "~" if sample.quality & TIME_REPLACED else ""
        time = f"{sample.time_ns // MS - START}" + (f"+{sample.time_ns % MS}" if sample.time_ns % MS else "")
        words.append(f"{value}{marks}@{time}")
    return " ".join(words)


def said(passed: Passed) -> str:
    late = text(passed.past)
    return text(passed.live) + (f" | {late}".rstrip() if late else "")


def run(source: str, signal: Signal, now: int = 10_000) -> str:
    return said(Filter([signal]).update(samples(source), (START + now) * MS))


def arriving(under_test: Filter, source: str) -> str:
    """Let samples `value@ms:arrival` arrive one by one."""
    passed = Passed([], [])
    for word in source.split():
        sample, _, arrival = word.rpartition(":")
        live, past = under_test.update(samples(sample), at(int(arrival)))
        passed.live.extend(live)
        passed.past.extend(past)
    return said(passed)


def test_without_deadband_and_period_everything_passes() -> None:
    assert run("1@0 1@1 2@2 2!@3 _@4", Signal("s")) == "1@0 1@1 2@2 2!@3 _!@4"


def test_a_repeat_is_left_out() -> None:
    assert run("1@0 1@0 1@1 1@1", Signal("s")) == "1@0 1@1"


def test_c1_what_is_late_keeps_its_time() -> None:
    assert run("1@5000 2@5001 3@100 4@-3600000 5@5002", Signal("s")) == "1@5000 2@5001 5@5002 | 3@100 4@-3600000"
    assert run("9@9000 8@8000 7@7000 6@-500000", Signal("s")) == "9@9000 | 8@8000 7@7000 6@-500000"


def test_c1_what_was_said_before_the_edge_was_there_keeps_its_time() -> None:
    new = Filter([Signal("s")])
    new.resume()
    assert said(new.update(samples("1@-3600000 2@-3599000 3@10"), at(20))) == "1@-3600000 2@-3599000 3@10"


def test_c1_a_backlog_leaves_deadband_and_period_of_the_live_values_alone() -> None:
    quiet = Filter([Signal("s", deadband=5, period_s=1)])
    assert said(quiet.update(samples("10@5000 10@1 11@2 90@3 12@5001"), at(5001))) == "10@5000 | 10@1 11@2 90@3"
    assert said(quiet.update(samples("17@5500 50@4 16@5600"), at(5600))) == " | 50@4"
    assert text(quiet.flush(at(6600))) == "16@5600"


def test_c1_a_backlog_that_is_sent_twice_passes_once() -> None:
    backlog = "3@9000 1@10 1@11 2@12 2@13"
    assert run(f"{backlog} {backlog}", Signal("s")) == "3@9000 | 1@10 1@11 2@12 2@13"


def test_c1_another_value_of_a_late_time_does_not_take_its_place() -> None:
    assert run("1@5 2@6 3@5 4@5 3@5", Signal("s")) == "1@5 2@6 | 3@5+1 4@5+2 3@5+3"
    assert run("1@5 2@6 3@5 7@4 3@5", Signal("s")) == "1@5 2@6 | 3@5+1 7@4"


def test_c1_of_a_live_and_a_late_one_with_equal_value_both_pass() -> None:
    assert run("1@5000 1@100 1@200", Signal("s")) == "1@5000 | 1@100 1@200"


def test_c2_a_time_that_stands_still_is_replaced_by_that_of_arrival() -> None:
    stuck = Filter([Signal("s")])
    source = "1@0:10 2@0:500 3@0:1011 4@0:2000 4@0:2500 3@0:3000 5@3500:3501"
    assert arriving(stuck, source) == "1@0 2@0+1 3~@1011 4~@2000 3~@3000 5@3500"
    assert stuck.odd_times == {"standing still": 3}


def test_c2_values_of_one_time_that_stands_still_in_the_past() -> None:
    stuck = Filter([Signal("s")])
    source = "1@5000:5000 2@0:5001 3@0:5100 4@0:6500 5@0:7500 6@0:8500"
    assert arriving(stuck, source) == "1@5000 4~@6500 5~@7500 6~@8500 | 2@0 3@0+1"


def test_c2_with_a_deadband_and_a_period_too() -> None:
    stuck = Filter([Signal("s", deadband=1, period_s=1)])
    assert arriving(stuck, "1@0:0 5@0:1100 5.5@0:2500 9@0:4000 20@0:4500") == "1@0 5~@1100 9~@4000"
    assert text(stuck.drain()) == "20~@4500"


def test_c2_a_value_that_moves_while_quality_and_time_stand_still() -> None:
    stuck = Filter([Signal("s")])
    assert arriving(stuck, "1@0:0 1!@0:2000 1@0:4000") == "1@0 1!~@2000 1~@4000"


def test_c2_what_cannot_be_a_time_is_replaced_flagged_and_counted() -> None:
    odd = Filter([Signal("s")])
    year_1601, year_9999, year_2262 = -11_644_473_600_000_000_000, 253_402_300_799 * 10**9, 2**63 - 1
    times = [0, -1, 999_999, year_1601, year_9999, year_2262, at(10_000) + 300 * 1000 * MS + 1]
    source = [Sample("a", "s", time_ns, float(n)) for n, time_ns in enumerate(times)]
    assert said(odd.update(source, at(10_000))) == (
        "0~@10000 1~@10000+1 2~@10000+2 3~@10000+3 4~@10000+4 5~@10000+5 6~@10000+6"
    )
    assert odd.odd_times == {"none": 1, "before 1970": 3, "ahead": 3}
    assert odd.examples["before 1970", "s"].time_ns == -1
    assert said(odd.update(samples("7@9999 8@309999"), at(10_001))) == "7@9999 8@309999"
    assert not Filter([Signal("s")]).update([Sample("a", "s", 1_000_000, 1.0)], at(0)).live[0].quality & TIME_REPLACED


def test_while_the_clock_of_the_edge_is_an_hour_behind_order_is_kept() -> None:
    behind = Filter([Signal("s")])
    source = "1@0:0 2@100:-3600000 3@200:-3599900 4@300:-3599800 5@400:400"
    assert arriving(behind, source) == "1@0 2~@0+1 3~@0+2 4~@0+3 5@400"
    assert behind.read(["s"], None) == {"s": Read(at(400))}
    long = Filter([Signal("s")])
    source = "1@0:0 " + " ".join(f"{n}@{n * 100}:{n * 100 - 3_600_000}" for n in range(1, 1000))
    assert len({word.partition("@")[2] for word in arriving(long, source).split()}) == 1000


def test_of_a_source_without_times_every_value_has_a_time_of_its_own_whatever_the_clock_of_the_edge_does() -> None:
    none = Filter([Signal("s")])
    passed: list[Sample] = []
    for now in (*[0] * 100, *range(100), *[-3_600_000] * 100, *[10_000] * 100):
        passed += none.update([Sample("a", "s", 0, float(len(passed)))], at(now)).live
    assert len({sample.time_ns for sample in passed}) == 400


def test_c2_a_time_that_was_replaced_tells_nothing_of_the_record() -> None:
    odd = Filter([Signal("s")])
    odd.update([Sample("a", "s", 253_402_300_799 * 10**9, 1.0)], at(0))
    assert (odd.begun_ns, odd.has_all, odd.read(["s"], None)) == (0, False, {})


def test_c5_values_of_one_time_pass_in_order() -> None:
    assert run("1@5 2@5 1@5 2@5 3@5 5@6", Signal("s")) == "1@5 2@5+1 1@5+2 2@5+3 3@5+4 5@6"
    many = " ".join(f"{n}@0" for n in range(1000))
    assert len(set(run(many, Signal("s")).split())) == 1000
    assert len(set(run(f"7@9 {many}", Signal("s")).split(" | ")[1].split())) == 1000


def test_a_clock_that_is_set_back_is_live_again_and_takes_no_given_time() -> None:
    back = Filter([Signal("s", deadband=1)])
    before = " ".join(f"{n * 10}@{n * 1000}:{n * 1000}" for n in range(3700))
    arriving(back, before)
    after = " ".join(f"{n}@{(n - 3600) * 1000}:{n * 1000}" for n in range(3700, 3710))
    assert arriving(back, after) == (
        "3703@103000+1 3705@105000+1 3707@107000+1 3709@109000+1 | 3700@100000 3701@101000 3702@102000"
    )
    assert back.odd_times == {"set back": 1}


def test_late_values_among_newer_ones_are_no_clock_that_is_set_back() -> None:
    mixed = Filter([Signal("s")])
    source = " ".join(f"1@{n * 1000}:{n * 1000} 2@{n * 1000 - 10_000}:{n * 1000 + 1}" for n in range(100, 110))
    assert arriving(mixed, source).count("+") == 0
    assert mixed.odd_times == {}


def test_what_is_older_than_samples_are_kept_is_told_and_keeps_its_time() -> None:
    old = Filter([Signal("s", deadband=1)], bounds=Bounds(oldest_ns=at(0)))
    assert said(old.update(samples("1@-3000 2@-2000 2@-2000 2@-1 3@0 4@-1"), at(9000))) == (
        "3@0 | 1@-3000 2@-2000 2@-1 4@-1+1"
    )
    assert old.odd_times == {"too old": 4}


def test_a_value_that_has_held_for_longer_than_samples_are_kept_is_dated_with_the_connection() -> None:
    held = Filter([Signal("s")], bounds=Bounds(oldest_ns=at(0), holds=True))
    assert said(held.update(samples("1@-3000 2@5000"), at(9000))) == "1~@9000 2@5000"
    assert held.odd_times == {"too old": 1}
    held.resume(Bounds(oldest_ns=at(6000), holds=True))
    assert said(held.update(samples("2@5000"), at(9900))) == "2~@9900"


def test_after_a_clock_that_was_an_hour_ahead_times_are_right_again_at_once() -> None:
    hour = 3_600_000
    for signal in (Signal("s", deadband=1), Signal("s", period_s=1), Signal("s")):
        jumped = Filter([signal])
        assert said(jumped.update(samples(f"1@{hour}"), at(hour))) == f"1@{hour}"
        assert said(jumped.update(samples("1@200"), at(200))) == "1@200"
        assert said(jumped.update(samples("3@1300"), at(1300))) == "3@1300"


def test_deadband_looks_at_what_was_sent() -> None:
    assert run("10@0 10.5@1 11@2 11.1@3 11.5@4 9@5", Signal("s", deadband=1)) == "10@0 11.1@3 9@5"


def test_a_change_of_quality_always_passes() -> None:
    assert run("10@0 10!@1 10!@2 10@3", Signal("s", deadband=5, period_s=1)) == "10@0 10!@1 10@3"


def test_with_a_deadband_a_value_passes_every_20_s() -> None:
    source = " ".join(f"1@{second * 1000}" for second in range(0, 50, 5))
    assert run(source, Signal("s", deadband=1), now=50_000) == "1@0 1@20000 1@40000"


def test_the_last_value_inside_a_period_waits_for_its_end() -> None:
    quiet = Filter([Signal("s", period_s=0.1)])
    assert said(quiet.update(samples("1@0 2@10 3@20"), START * MS)) == "1@0"
    assert quiet.waits
    assert quiet.flush((START + 99) * MS) == []
    assert text(quiet.flush((START + 100) * MS)) == "3@20"
    assert not quiet.waits
    assert said(quiet.update(samples("4@121 5@122"), (START + 121) * MS)) == "4@121"
    assert text(quiet.drain()) == "5@122"


def test_what_came_back_into_the_deadband_does_not_wait() -> None:
    quiet = Filter([Signal("s", period_s=0.1, deadband=1)])
    assert said(quiet.update(samples("1@0 9@10 1@20"), START * MS)) == "1@0"
    assert quiet.drain() == []


def test_after_a_loss_the_first_value_passes_in_its_own_time() -> None:
    back = Filter([Signal("s", deadband=5)])
    assert said(back.update(samples("1@0 1@1"), START * MS)) == "1@0"
    back.resume()
    assert said(back.update(samples("1@1 1@2"), at(5001))) == "1@1"
    back.resume()
    assert said(back.update(samples("7@2"), at(6500))) == "7~@6500"
    back.resume()
    assert said(back.update(samples("8@-9 19@3"), at(7000))) == "8@-9 19@3"
    after = back.successor([Signal("s")])
    assert said(after.update(samples("8@-9 19@3 7@3"), at(7000))) == "8@-9 19@3 7@3+1"


def at(time: int) -> int:
    return (START + time) * MS


def test_what_the_source_recorded_is_missing_where_nobody_read_it() -> None:
    past, live = Filter([Signal("s")]), Filter([Signal("s")])
    past.update(samples("1@0 2@10"), at(10))
    past.rewind()
    live.resume()
    record = samples("1@0 2@10 3@11 4@50 5@60")
    assert text(past.missing(record, live)) == "3@11 4@50 5@60"
    assert said(live.update(samples("4@50 5@60"), at(100))) == "4@50 5@60"
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


def test_what_has_not_changed_while_the_edge_was_down_is_not_taken_for_a_time_that_stands_still() -> None:
    past = Filter([Signal("s")], {"s": Read(at(0))})
    live = past.successor([Signal("s")])
    live.resume()
    assert said(live.update(samples("1@0 2@0"), at(5000))) == "1@0 2@0+1"
    assert said(live.update(samples("3@0"), at(7000))) == "3~@7000"


def test_a_record_keeps_its_times_though_others_were_given_out() -> None:
    past, live = Filter([Signal("s")]), Filter([Signal("s")])
    past.update(samples("1@0 9@-400000"), at(-400_000))
    past.rewind()
    own = past.missing(samples("1@0 2@10 3@20"), live)
    assert said(past.update(own, own[-1].time_ns)) == "1@0 2@10 3@20"


def test_times_of_a_record_are_its_own_however_they_arrive() -> None:
    past = Filter([Signal("s")], {"s": Read(at(0))})
    assert said(past.update(samples("1@10"), at(10))) == "1@10"
    assert said(past.update(samples("2@10 3@9000"), at(9000))) == "2@10+1 3@9000"
    assert past.odd_times == {}


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


def test_d2_an_integer_that_no_double_holds_is_an_integer_or_uncertain_and_counted() -> None:
    largest = [2**53 + 1, 2**64 - 1, 2**80, 2**53, 2**60]
    assert [inferred(value) for value in largest] == [
        Datatype.INT64,
        Datatype.UINT64,
        Datatype.DOUBLE,
        Datatype.DOUBLE,
        Datatype.DOUBLE,
    ]
    double = Filter([Signal("s")])
    given_ = [Sample("a", "s", (START + n) * MS, value) for n, value in enumerate([7, 2**53 + 1, 2**60])]
    passed = double.update(given_, START * MS).live
    assert [(sample.value, sample.quality) for sample in passed] == [(7.0, 192), (2.0**53, 64), (2.0**60, 192)]
    assert double.rounded == {"s": 1}


def test_what_does_not_fit_is_bad_and_counted() -> None:
    strict = Filter([Signal("s", Datatype.UINT8)])
    assert said(strict.update(samples("1@0 300@1 -1@2"), START * MS)) == "1@0 _!@1 _!@2"
    assert strict.misfits == {"s": 2}
    [uncertain] = strict.update([Sample("a", "s", (START + 3) * MS, "x", Quality.UNCERTAIN)], (START + 3) * MS).live
    assert (uncertain.value, uncertain.quality) == (None, Quality.BAD)


@given(
    st.lists(st.tuples(st.integers(-5000, 5000), st.floats()), max_size=50),
    st.floats(0, 3),
    st.sampled_from([0.0, 0.05, 1.0]),
)
def test_whatever_comes_every_time_is_given_once_and_the_last_value_is_near(
    source: list[tuple[int, float]], deadband: float, period_s: float
) -> None:
    under_test = Filter([Signal("s", deadband=deadband, period_s=period_s)])
    passed: list[Sample] = []
    late: list[Sample] = []
    for time, value in source:
        live, past = under_test.update([Sample("a", "s", (START + time) * MS, value)], (START + 6000) * MS)
        passed += live
        late += past
    passed += under_test.drain()
    times = [sample.time_ns for sample in passed]
    assert times == sorted(set(times))
    assert all(sample.time_ns // MS in {START + time for time, _ in source} for sample in late)
    newest = max((time for time, _ in source), default=0)
    if source:
        # the last of them, or one that came again: nobody can tell that from a repeat
        last = [coerce(value, Datatype.DOUBLE) for time, value in source if time == newest]
        shown = passed[-1].value
        near = [value for value in last if value is not None and shown is not None and abs(shown - value) <= deadband]
        assert near or (shown is None and None in last)
