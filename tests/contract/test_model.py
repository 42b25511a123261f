"""The words of the model."""

from __future__ import annotations

from contract.model import Datatype, Quality, Sample


def test_only_strings_are_text() -> None:
    assert [datatype for datatype in Datatype if datatype.is_text] == [Datatype.STRING]


def test_a_sample_is_good_unless_it_says_otherwise() -> None:
    assert Sample("a", "b", 1, 2.0).quality == Quality.GOOD == 192
    assert (Quality.BAD, Quality.STALE) == (0, 500)
