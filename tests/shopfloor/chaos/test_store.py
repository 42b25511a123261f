"""The accounts of the spools, read when nobody has them open."""

from __future__ import annotations

from pathlib import Path

from shopfloor.chaos.store import missing_numbers
from spool import Origin, Spool


def home(tmp_path: Path, arrived: int) -> Path:
    """An edge spool that gave out five numbers and has the last one still; the gateway has `arrived` of them."""
    with Spool.open(tmp_path / "edge" / "machining.line1.spool") as edge:
        for _ in range(5):
            edge.put("t", b"x").result(10)
        edge.remove([(1, 4)])
        epoch = edge.epoch
    with Spool.open(tmp_path / "gateway" / "gateway.spool") as gateway:
        for n in range(1, arrived + 1):
            gateway.put("t", b"x", Origin("demo:shanghai:machining/line1", epoch, n)).result(10)
    return tmp_path


def test_what_the_gateway_has_is_not_missing(tmp_path: Path) -> None:
    assert missing_numbers(home(tmp_path, 4)) == {}


def test_what_nobody_has_is_missing(tmp_path: Path) -> None:
    assert missing_numbers(home(tmp_path, 2)) == {"machining.line1.spool": [(3, 4)]}
