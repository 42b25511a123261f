"""The log of a process: short lines on which nothing is forged, and no secret that a variable holds."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys

import pytest

from contract.log import LIBRARIES, MAX_TEXT, plain, told

PROGRAM = """
import logging, threading
import structlog
from contract.log import configure
configure("edge")
structlog.get_logger("a.b").info("机器 connected", machine="cnc-01", kept=object)
structlog.get_logger("a.b").debug("too fine")
logging.getLogger("elsewhere").warning("from %s", "elsewhere")
def divide(password): return 1 / len(password[9:])
thread = threading.Thread(target=divide, args=("hunter" + "2",), name="reader")
thread.start()
thread.join()
"""

RAISING = """
import asyncio, logging, threading
import structlog
from contract.log import configure
configure("edge")

def leak():
    password = "hunter" + "2"
    raise ValueError("what it says")

def by(log):
    try:
        leak()
    except ValueError:
        log()

async def in_a_task():
    task = asyncio.create_task(asyncio.to_thread(leak))
    await asyncio.sleep(0.2)
    del task

by(lambda: structlog.get_logger("ours").exception("ours failed"))
by(lambda: structlog.get_logger("ours").error("ours failed", exc_info=True))
by(lambda: logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\n"))
by(lambda: logging.getLogger("anything").error("theirs failed", exc_info=True, stack_info=True))
asyncio.run(in_a_task())
thread = threading.Thread(target=leak)
thread.start()
thread.join()
leak()
"""


def run(program: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.stdout == ""
    assert "hunter2" not in done.stderr  # the value of a local variable
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_are_json() -> None:
    ours, theirs, end = run(PROGRAM)
    assert (ours["event"], ours["machine"], ours["process"]) == ("机器 connected", "cnc-01", "edge")
    assert (ours["level"], ours["logger"]) == ("info", "a.b")
    assert str(ours["timestamp"]).endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("from elsewhere", "warning", "elsewhere")
    assert (end["event"], end["level"], end["thread"]) == ("thread ended", "critical", "reader")
    assert str(end["exception"]).startswith("ZeroDivisionError")


def test_no_way_to_log_an_error_shows_the_value_of_a_variable() -> None:
    lines = run(RAISING)
    assert len(lines) == 7
    assert {str(line["exception"]).partition(" (")[0] for line in lines} == {"ValueError: what it says"}
    assert all(" leak" in str(line["exception"]) for line in lines)
    assert max(len(json.dumps(line)) for line in lines) < 1200


def test_nor_does_one_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", RAISING], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end was closed
        pass
    process.wait()
    os.close(ours)
    assert shown.count(b"what it says") >= 7
    assert b"hunter2" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("机器 é ok", "机器 é ok"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m \x7f \x00", r"\x9b31m \x7f \x00"),
        ("a\u2028b \u202eabc\u2066", r"a\u2028b \u202eabc\u2066"),
        ("\ud800", r"\ud800"),
        ("no mqtt://edge:hunter2@plant:1883/a", "no mqtt://edge:***@plant:1883/a"),
        ("x" * 5000, "x" * MAX_TEXT + "… (5000 characters)"),
    ],
)
def test_a_text_is_cut_and_cannot_forge_a_line(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_whatever_is_logged_a_line_is_one_line_and_short() -> None:
    program = (
        PROGRAM.partition("structlog.get_logger")[0]
        + """
class Bad:
    def __str__(self): raise RuntimeError("no words")
    __repr__ = __str__
log = structlog.get_logger()
log.warning("forged\\n{\\"level\\": \\"info\\"}", **{"\\x1b": "\\ud800", "long": "x" * 10**6, "bad": Bad()})
log.warning("deep", value={"a": [["\\n" * 9, {"b": Bad()}]] * 1000}, number=10**400)
log.error("long", exc_info=ValueError("y\\n" * 10**6))
"""
    )
    lines = run(program)
    assert len(lines) == 3
    assert lines[0]["\\x1b"] == r"\ud800"
    assert lines[0]["bad"] == "<Bad>"
    assert len(str(lines[0]["long"])) < 1100
    assert len(json.dumps(lines[2])) < 1200


def test_an_error_is_told_with_its_causes() -> None:
    def divide() -> float:
        return 1 / 0

    try:
        try:
            divide()
        except ZeroDivisionError as error:
            raise ExceptionGroup("some", [KeyError("k")]) from error
    except ExceptionGroup as error:
        words = told(error)
    assert words.startswith("ExceptionGroup: some (1 sub-exception) (contract/test_log.py:")
    assert " ⇐ KeyError: 'k'" in words
    try:
        divide()
    except ZeroDivisionError as error:
        assert ":" in told(error).partition(" divide ← ")[0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_say_only_what_matters(library: str) -> None:
    program = f"""
import logging
from contract.log import configure
configure("edge")
logging.getLogger({library!r}).log({LIBRARIES[library] - 10}, "chatter")
logging.getLogger({library!r}).log({LIBRARIES[library]}, "heard")
"""
    if LIBRARIES[library] > logging.WARNING:
        pytest.skip("is not heard at all, or only at the end")
    assert [line["event"] for line in run(program)] == ["heard"]
