"""A process that trains with others, watched by its parent, which says in one line how it ended.

JAX ends a process by abort(), from a thread of its own, where another one is lost. What has to be said then is said by
a parent that does nothing else: in the process itself no Python can be relied on.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO, Any, NoReturn

from convmedia.apps.console.terminal import complain, say
from convmedia.data.storage.errors import InputError

ADDRESSES, NUMBER, RANK = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
MEETING_SECONDS = 300  # that the first process to start waits for the others
PLACE = "CONVMEDIA_SUPERVISED"  # in the child's environment: descriptors of its messages and of its parent's pipe
LOST = "another process of this training ended or cannot be reached; run the command with --resume on each machine"
LOST_CODE = 75  # by which the child says that another process was lost
MET = b"\0the processes have met\0"
OF_LOSS = re.compile(
    "gloo|nccl|coordination service|distributed service|connection closed|socket closed", re.IGNORECASE
)

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # that people and machines send

_held: list[int] = []  # at most one: the descriptor of what libraries print


def place() -> tuple[str, int, int] | None:
    """Address of the first process, number of processes and rank of this one; None where the environment is silent."""
    given = {name: os.environ.get(name, "") for name in (ADDRESSES, NUMBER, RANK)}
    if not any(given.values()):
        return None
    addresses = given[ADDRESSES].split(",")
    numbers = (given[NUMBER] or str(len(addresses)), given[RANK])
    number, own = (int(text) if text.isdecimal() else -1 for text in numbers)
    if not re.fullmatch(r".+:\d+", addresses[0]) or len(addresses) not in (1, number) or not 0 <= own < number:
        received = ", ".join(f"{name}={value}" for name, value in given.items())
        raise InputError(
            f"--distribute needs {ADDRESSES}=HOST:PORT of the first process (or of all, parted by commas), {NUMBER} "
            f"and {RANK} from 0; received {received}"
        )
    return addresses[0], number, own


def supervised() -> None:
    """Go on in a child process that this one watches and ends as; nothing where a process trains alone.

    Raises:
        InputError: as `place`.
    """
    job = place()
    given = os.environ.pop(PLACE, "")
    if given:
        held, parent = map(int, given.split(","))
        quiet(held)
        threading.Thread(target=outlived, args=(parent,), daemon=True).start()
    elif job and not _held:
        address, number, _ = job
        watch(
            f"the {number} processes of this training did not meet at {address} within {MEETING_SECONDS} s; run the "
            f"command on each machine, with {RANK} from 0 to {number - 1}"
        )


def quiet(held: int) -> None:
    """Send what libraries print on file descriptors 1 and 2 to the parent; Python's own streams stay."""
    _held.append(held)
    for stream in ("stdout", "stderr"):
        own = getattr(sys, stream)
        own.flush()
        setattr(sys, stream, os.fdopen(os.dup(own.fileno()), "w", buffering=1, errors="backslashreplace"))
        os.dup2(held, own.fileno())


def outlived(parent: int) -> None:
    """End this process as soon as its parent is gone, which nothing else would tell the other processes."""
    os.read(parent, 1)
    os._exit(128 + signal.SIGKILL)


def met() -> None:
    """Note that all processes have met."""
    if _held:
        os.write(_held[0], MET)


def lost() -> None:
    """End this process where another one is lost, and let the parent say so; nothing without a parent."""
    if _held:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(LOST_CODE)


def watch(unmet: str) -> NoReturn:
    """Run this command again in a child, pass signals on to it, and end as it does.

    Args:
        unmet: what to say where the processes have not met.
    """
    read, write = os.pipe()
    with tempfile.TemporaryFile() as held:
        child = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, PLACE: f"{held.fileno()},{read}"},
            pass_fds=(held.fileno(), read),
            start_new_session=True,  # the terminal's Ctrl-C reaches it once, from here
        )
        os.close(read)

        def passed_on(number: int, _: Any) -> None:
            with suppress(ProcessLookupError):
                child.send_signal(number)

        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, passed_on)
        code = child.wait()
        os.close(write)
        sys.exit(said(code, held, unmet))


def said(code: int, held: IO[bytes], unmet: str) -> int:
    """Say why the child ended, where it could not itself: the exit code."""
    if code >= 0 and code != LOST_CODE:
        return code
    held.seek(0)
    messages = held.read()
    if code == LOST_CODE or (code == -signal.SIGABRT and OF_LOSS.search(messages.decode(errors="replace"))):
        return complain(LOST if MET in messages else unmet)
    if -code not in ENDING:
        say(messages.replace(MET, b"").decode(errors="replace"))
        complain(f"the training was ended by signal {-code}; what was done is kept, --resume goes on")
    return 128 - code
