"""What the edge node says of itself."""

from __future__ import annotations

from pathlib import Path

from edge.entry import Place
from edge.health import Health, PlantFile, node_asset, samples
from spool import Spool

S = 1_000_000_000
FILE = PlantFile("0123456789abcdef", "plant.yaml:7: unknown key")


def test_a_quiet_machine_is_told_from_a_silent_one(tmp_path: Path) -> None:
    now_ns = 1_000 * S
    machines = {
        "quiet": Health(connected=True, last_data_ns=now_ns - 300 * S, alive_ns=now_ns - 2 * S),
        "never": Health(),
    }
    spool = Spool.open(tmp_path / "line1.spool", max_bytes=1 << 20)
    told = {
        sample.signal: sample.value
        for sample in samples(spool, machines, FILE, dropped=0, tasks=7, now_ns=now_ns, asset="line1")
    }
    spool.close()
    assert (told["Health/quiet/last_data_age_s"], told["Health/quiet/silent_s"]) == (300.0, 2.0)
    assert told["Health/tasks"] == 7.0
    assert (told["Health/plant_file"], told["Health/plant_file_trouble"]) == ("0123456789ab", FILE.trouble)
    assert (told["Health/never/last_data_age_s"], told["Health/never/silent_s"]) == (-1.0, -1.0)
    signals = {signal.name for signal in node_asset(Place("demo", "shanghai", "machining", "line1"), machines).signals}
    assert set(told) <= signals


def test_why_a_machine_is_not_there_travels_without_its_password_and_not_too_long(tmp_path: Path) -> None:
    machines = {
        "press": Health(trouble="mqtt://me:secret@10.0.0.5: refused. Is it on?", todo="Is it on?", code="unreachable"),
        "long": Health(trouble=100_000 * "x", todo=100_000 * "y"),
    }
    spool = Spool.open(tmp_path / "line1.spool", max_bytes=1 << 20)
    told = {s.signal: s.value for s in samples(spool, machines, FILE, dropped=0, tasks=7, now_ns=S, asset="line1")}
    spool.close()
    assert told["Health/press/trouble"] == "mqtt://10.0.0.5: refused. Is it on?"
    assert (told["Health/press/todo"], told["Health/press/trouble_code"]) == ("Is it on?", "unreachable")
    assert all(len(str(told[f"Health/long/{name}"])) <= 600 for name in ("trouble", "todo"))
