"""A computer that stands still is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

SCRIPT = """
import sys
from shopfloor.chaos.stood import Watch
with Watch() as watch:
    print("ready", flush=True)
    sys.stdin.readline()
print(watch.times, watch.most_s)
"""


def test_a_process_that_had_no_time_of_the_computers_says_so() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.3)
        times, most_s = process.communicate("\n", timeout=30)[0].split()
    assert int(times) >= 1
    assert float(most_s) > 1.0
