"""The log of a process: JSON lines when nobody watches, and the end of a thread is heard."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, threading
import structlog
from contract.log import configure
configure("edge")
structlog.get_logger("a.b").info("机器 connected", machine="cnc-01", kept=object)
structlog.get_logger("a.b").debug("too fine")
logging.getLogger("paho").warning("from %s", "elsewhere")
def divide(password): return 1 / len(password[9:])
thread = threading.Thread(target=divide, args=("hunter" + "2",), name="reader")
thread.start()
thread.join()
"""


def test_lines_are_json() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stdout == ""
    ours, theirs, end = [json.loads(line) for line in done.stderr.splitlines()]
    assert (ours["event"], ours["machine"], ours["process"]) == ("机器 connected", "cnc-01", "edge")
    assert (ours["level"], ours["logger"]) == ("info", "a.b")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("from elsewhere", "warning", "paho")
    assert (end["event"], end["level"], end["thread"]) == ("thread ended", "critical", "reader")
    assert "ZeroDivisionError" in json.dumps(end["exception"])
    assert "hunter2" not in done.stderr  # the value of a local variable
