"""The short way of reading DATA gives what the long way gives, whatever the bytes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from contract.model import Quality, Sample
from contract.sparkplug import Batch, Code, Decoder, Metric, Payload, SparkplugError, encode, encode_samples, stamp
from contract.sparkplug_plain import read_plain

START_NS = 1_700_000_000 * 10**9
ALIASES = {"a": 1, "b": 127, "c": 128, "d": 16_383, "e": 16_384, "text": 20, "int": 21, "f": 0}
CODES = dict.fromkeys("abcdef", int(Code.DOUBLE)) | {"text": int(Code.STRING), "int": int(Code.INT32)}
DECODER = Decoder([Metric(name, alias, CODES[name]) for name, alias in ALIASES.items()])

TIMES = st.one_of(
    st.just(START_NS),
    st.integers(0, 1000).map(lambda ms: START_NS + ms * 10**6),
    st.integers(0, 10**12).map(lambda ns: START_NS + ns),
    st.integers(10**6, 2**62),
)
DOUBLES = st.builds(
    Sample,
    st.just("x"),
    st.sampled_from("abcd"),
    TIMES,
    st.floats(),
    st.just(192),
    st.just(0),
)
OTHERS = st.one_of(
    st.builds(
        Sample,
        st.just("x"),
        st.sampled_from("abcdef"),
        TIMES,
        st.one_of(st.none(), st.floats()),
        st.sampled_from([0, 192, 500]),
        st.sampled_from([0, 0, 0x80310000]),
    ),
    st.builds(
        Sample,
        st.just("x"),
        st.just("text"),
        TIMES,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.just(192),
        st.just(0),
    ),
    st.builds(Sample, st.just("x"), st.just("int"), TIMES, st.integers(-(2**31), 2**31 - 1), st.just(192), st.just(0)),
)


def the_long_way(body: bytes) -> Batch:
    """Read a payload so that the short way cannot be taken: a field before all others changes nothing but that."""
    return DECODER.read(b"\xfa\x0f\x00" + body)


def text_of(batch: Batch) -> str:
    """Return a batch as text, in which NaN equals itself and -0.0 is not 0.0."""
    return repr(batch)


@given(st.lists(DOUBLES, min_size=1, max_size=60).map(lambda samples: sorted(samples, key=lambda s: ALIASES[s.signal])))
def test_plain_doubles_are_read_the_short_way(samples: list[Sample]) -> None:
    body = stamp(encode_samples(samples, ALIASES, CODES), seq=7, uuid="e1:5")
    if all(2**35 <= sample.time_ns // 10**6 < 2**42 for sample in samples):
        assert read_plain(body) is not None
    batch = DECODER.read(body)
    assert batch.names == [sample.signal for sample in samples]
    assert batch.times_ns == [sample.time_ns for sample in samples]
    assert batch.values == [sample.value if math.isfinite(float(sample.value or 0)) else None for sample in samples]
    assert (batch.seq, batch.uuid) == (7, "e1:5")
    assert text_of(batch) == text_of(the_long_way(body))


@given(st.lists(st.one_of(DOUBLES, OTHERS), max_size=12))
def test_a_mixture_is_read_as_the_long_way_does(samples: list[Sample]) -> None:
    body = stamp(encode_samples(samples, ALIASES, CODES), seq=7)
    assert text_of(DECODER.read(body)) == text_of(the_long_way(body))


@given(st.lists(DOUBLES, min_size=1, max_size=5), st.integers(0, 200), st.binary(max_size=3))
def test_damage_is_read_as_the_long_way_does(samples: list[Sample], at: int, damage: bytes) -> None:
    body = encode_samples(samples, ALIASES, CODES)
    damaged = body[:at] + damage + body[at + 1 :]
    results = []
    for read in (DECODER.read, the_long_way):
        try:
            results.append(text_of(read(damaged)))
        except SparkplugError:
            results.append("refused")
    assert results[0] == results[1]


def test_the_short_way_is_taken() -> None:
    samples = [Sample("x", name, START_NS + 1, 1.5) for name in "abcd"]
    plain = read_plain(encode_samples(samples, ALIASES, CODES))
    assert plain is not None
    assert plain.aliases.numbers() == [1, 127, 128, 16_383]
    assert plain.times_ms == [START_NS // 10**6] * 4
    assert plain.values == [1.5] * 4


def test_what_is_not_plain_is_not_taken() -> None:
    named = encode(Payload([Metric("a", None, Code.DOUBLE, 1.0, START_NS)], time_ms=START_NS // 10**6))
    stale = encode_samples([Sample("x", "a", START_NS, 1.0, Quality.STALE)], ALIASES, CODES)
    assert read_plain(named) is None
    assert read_plain(stale) is None
    assert read_plain(b"") is None
