"""What a driver makes of what a source says, however long that is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contract.event import Event, event_metric, read_event
from edge.telling import cut, event, short

text = st.text(max_size=30) | st.text(min_size=2, max_size=3).map(lambda some: some * 1500)


def test_what_fits_stays_as_it_is() -> None:
    said = event("cnc-01", "spindle hot", 5_000_000, facts=("hot", 7), state="active", condition="hot", severity=700)
    assert (said.name, said.condition, said.severity, said.time_ns) == ("spindle hot", "hot", 700, 5_000_000)
    assert said.id == event("cnc-01", "another text", 9, facts=("hot", 7)).id
    assert said.id != event("cnc-02", "spindle hot", 5_000_000, facts=("hot", 7)).id


def test_a_long_text_says_how_long_it_was() -> None:
    assert cut("x" * 3000)[-20:] == "xxx… (3000 characters)"[-20:]
    assert len(cut("x" * 3000)) == 2000
    assert cut("x" * 2000) == "x" * 2000


def test_two_long_names_stay_two() -> None:
    names = {short("x" * 300 + end) for end in ("a", "b")}
    assert len(names) == 2
    assert all(len(name) == 200 for name in names)


def test_what_is_left_out_is_counted() -> None:
    said = event("a", "b", 1, facts=(), texts={str(n): "x" for n in range(25)}, values={str(n): n for n in range(500)})
    assert (len(said.texts), len(said.values)) == (20, 100)
    assert (said.values["values_left_out"], said.values["texts_left_out"]) == (402, 5)


@given(
    name=text,
    condition=text,
    time_ns=st.integers(),
    severity=st.integers(),
    texts=st.dictionaries(text, text, max_size=3),
    values=st.dictionaries(st.text(max_size=5), text | st.integers() | st.booleans(), max_size=3),
)
def test_anything_that_a_source_says_is_an_event(name: str, condition: str, **said: Any) -> None:
    made = event("cnc-01", name, said.pop("time_ns"), facts=(name,), condition=condition, **said)
    assert isinstance(made, Event)
    assert read_event(str(event_metric(made).value), "cnc-01") == made


def test_half_of_a_character_is_none() -> None:
    assert event("a", "\ud83d", 1, facts=("\ud83d",), texts={"": "\ud83d"}).texts == {"": "?"}
