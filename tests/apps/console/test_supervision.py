"""A training with other processes and the process that watches it: who ends, when, and what is said."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from convmedia.apps.console import supervision

CHILD = """
import os, sys, time
from convmedia.apps.console import supervision as _supervision
_supervision.supervised()
print("child", os.getpid(), flush=True)
{}
"""


@pytest.fixture
def started():
    """Starts a command that is watched, with what its child then does; gives the process and the child's id."""
    processes = []

    def start(does):
        place = {supervision.ADDRESSES: "127.0.0.1:1", supervision.NUMBER: "2", supervision.RANK: "0"}
        script = CHILD.format(does)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, **place}, **pipes)
        processes.append(process)
        name, number = process.stdout.readline().split()
        assert name == "child" and int(number) != process.pid
        return process, int(number)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def is_there(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{number}/stat", encoding="utf-8") as facts:  # noqa: PTH123
        return facts.read().split()[2] != "Z"


def test_a_training_ends_within_a_second_after_its_watching_process(started):
    process, child = started("time.sleep(60)")
    process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    while is_there(child):
        assert time.monotonic() - began < 1
        time.sleep(0.01)


LOSING = "os.write(1, b'Gloo: connection closed'); {}os.abort()"


@pytest.mark.parametrize(
    ("does", "code", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("print('answer'); sys.exit()", 0, ""),
        ("_supervision.lost()", 2, "did not meet at 127.0.0.1:1"),
        ("_supervision.met(); _supervision.lost()", 2, supervision.LOST),
        (LOSING.format(""), 2, "did not meet at 127.0.0.1:1"),
        (LOSING.format("_supervision.met(); "), 2, supervision.LOST),
        ("os.write(2, b'a bug'); os.abort()", 134, "a bug"),
    ],
)
def test_the_watching_process_ends_as_the_training_and_says_in_one_line_what_it_could_not(started, does, code, said):
    process, _ = started(does)
    printed, errors = process.stdout.read(), process.stderr.read()
    assert (process.wait(20), printed) == (code, "answer\n" if "answer" in does else ""), errors
    assert said in errors
    assert errors.count("\n") == (0 if not said else 2 if code == 134 else 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_reach_the_training_once(started, number, code):
    does = "import signal; signal.signal(signal.SIGINT, lambda *_: sys.exit(130)); print('ready', flush=True)"
    process, _ = started(f"{does}; time.sleep(60)")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert (process.wait(20), process.stderr.read()) == (code, "")


def test_what_was_held_is_shown_without_the_marker(capsys):
    held = io.BytesIO(b"one" + supervision.MET + b"two")
    assert supervision.said(-signal.SIGSEGV, held, "unmet") == 139
    assert capsys.readouterr().err.startswith("onetwo\nerror: the training was ended by signal 11")
