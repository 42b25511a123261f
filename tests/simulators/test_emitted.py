"""The account of what was sent: complete, in order, readable after any end of the process."""

from __future__ import annotations

import json
from pathlib import Path

from simulators import factory as factories
from simulators.__main__ import build_faces
from simulators.emitted import Emitted
from simulators.face import Setting
from simulators.faces._json import encode
from simulators.faces.mqtt_json import MqttJson


def test_each_message_is_a_line_and_a_cut_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "emitted.jsonl"
    first = Emitted(path)
    first.write("cnc-01", 1, 5, {"speed": 1.5, "name": "气"})
    first.close()
    with path.open("a") as file:
        file.write('{"source": "cnc-0')
    second = Emitted(path)
    second.write("cnc-01", 1, 6, {"speed": None})
    second.close()
    lines = path.read_text().splitlines()
    assert json.loads(lines[1]) == {
        "source": "cnc-01",
        "sequence": 1,
        "time_ns": 5,
        "values": {"speed": 1.5, "name": "气"},
    }
    assert json.loads(lines[-1])["values"] == {"speed": None}


async def test_what_is_written_down_is_what_is_sent(tmp_path: Path) -> None:
    factory = factories.load(seed=3)
    (face,) = (each for each in build_faces(factory, Setting(tmp_path)) if isinstance(each, MqttJson))
    (shown,) = face.shown
    shown.emitted = Emitted(tmp_path / "emitted.jsonl")
    await face.start()
    factory.step()
    await face.emit(1_700_000_000_123_456_789)
    await face.stop()
    shown.emitted.close()
    line = json.loads((tmp_path / "emitted.jsonl").read_text())
    assert (line["source"], line["time_ns"]) == ("robot-01", 1_700_000_000_123_000_000)
    body = json.loads(
        encode(shown.machine.signals, line["time_ns"], shown.machine.read() | {"sequence": line["sequence"]})
    )
    assert body["joints"][0]["temperature"] == line["values"]["joint1_temperature"]
    assert body["seq"] == line["sequence"] == line["values"]["sequence"]
