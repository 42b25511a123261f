"""The words of the model."""

from __future__ import annotations

from contract.model import TIME_REPLACED, Datatype, Quality, Sample, base_quality


def test_only_strings_are_text() -> None:
    assert [datatype for datatype in Datatype if datatype.is_text] == [Datatype.STRING]


def test_a_sample_is_good_unless_it_says_otherwise() -> None:
    assert Sample("a", "b", 1, 2.0).quality == Quality.GOOD == 192
    assert (Quality.BAD, Quality.UNCERTAIN, Quality.STALE) == (0, 64, 500)
    assert Sample("a", "b", 1, 2.0).status == 0


def test_a_flag_leaves_the_quality_what_it_was() -> None:
    assert Quality.GOOD + TIME_REPLACED == 704
    assert [base_quality(quality + flag) for quality in Quality for flag in (0, TIME_REPLACED)] == [
        quality for quality in Quality for _ in (0, TIME_REPLACED)
    ]
