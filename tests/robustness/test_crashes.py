"""A sample of the crash states (`make crashes` tries more than ten thousand), and lives of the small chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustness import chain, crashes
from robustness.mutants import MUTANTS, ROOT, Mutant


def test_a_spool_opens_after_every_sort_of_crash() -> None:
    said: list[str] = []
    tried, wrong = crashes.run(step=401, flips=60, tails=40, seed=5, seconds=60, say=said.append)
    assert (wrong, said) == (0, [])
    assert tried > 200


def test_what_is_wrong_with_a_state_is_seen(tmp_path: Path) -> None:
    made = crashes.original(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir()
    emptied = crashes.State("emptied", made.files | {f"{crashes.NAME}-wal": b""}, len(made.bodies))
    assert "the state did not harm them" in crashes.wrong_with(emptied, made, folder)


def test_nothing_is_lost_in_a_few_lives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert chain.main([str(tmp_path / "chain"), "--lives", "3", "--seed", "4"]) == 0, capfd.readouterr()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_still_fits_the_code(mutant: Mutant) -> None:
    for change in mutant.changes:
        assert (ROOT / change.file).read_text().count(change.old) == 1
