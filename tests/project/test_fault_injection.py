"""A failing disk neither loses nor spoils what a run recorded. All calls: benchmarks/fault_injection.py."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fault_injection.py"


@pytest.mark.slow  # a process with TensorFlow, and a training for each call that fails
@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="needs a C compiler and LD_PRELOAD")
def test_no_failing_call_loses_or_spoils_what_was_recorded():
    chosen = ["--action", "resume", "--action", "predict", "--action", "export", "--kind", "rename", "--kind", "write"]
    command = [sys.executable, SCRIPT, *chosen, "--stride", "17", "--offset", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [calls] = re.findall(r"^(\d+) calls failed, 0 left something wrong$", done.stdout, re.MULTILINE)
    assert int(calls) >= 5
    assert len(re.findall(r"^(?:resume|predict|export): \d+ x (?:rename|write)", done.stdout, re.MULTILINE)) == 6
