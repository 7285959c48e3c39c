"""How long each help page and `import convmedia` take, whole processes, beside a Python that does nothing.

python benchmarks/help_pages.py [REPEATS]

Prints the median seconds of each and the slowest page. Python's compiled files are kept, as an installation has them.
"""

import os
import statistics
import subprocess
import sys
import time

import typer

from convmedia.apps.__main__ import command
from convmedia.apps.cli.application import subcommands

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def pages(found, words=()):
    """The words of every command and group."""
    yield words
    for name, one in subcommands(found).items():
        yield from pages(one, (*words, name))


def median(repeats, *arguments):
    """Median wall seconds of a Python process, after one that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=ENVIRONMENT, capture_output=True, check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = [
        ("python -c pass", median(repeats, "-c", "pass")),
        ("import convmedia", median(repeats, "-c", "import convmedia")),
    ]
    for words in pages(typer.main.get_command(command)):
        rows.append(
            (" ".join(("convmedia", *words, "--help")), median(repeats, "-m", "convmedia.apps", *words, "--help"))
        )
    for name, seconds in rows:
        print(f"{seconds:6.3f} s  {name}")
    name, seconds = max(rows[2:], key=lambda row: row[1])
    print(f"slowest page: {name}, {seconds:.3f} s, {seconds / rows[0][1]:.1f} times a Python that does nothing")


if __name__ == "__main__":
    main()
