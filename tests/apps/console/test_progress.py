"""Lines of progress fit the terminal; where there is none, there is one a minute."""

import io
import os
import re
import sys
import time

import pytest

from convmedia.apps.cli import backend
from convmedia.apps.console import progress, terminal
from convmedia.apps.training import callbacks, trainer
from convmedia.apps.verbs import export

LONG = {f"val_{name}": 0.123456 for name in ("accuracy", "balanced_accuracy", "macro_f1", "average_precision", "loss")}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Seconds that pass with each look."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def written(monkeypatch, stream, step):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress.time, "perf_counter", Clock(step))
    return stream


def rows(text):
    """What stands on the lines of a terminal one after the other."""
    return [part for part in re.split(r"\r|\n", text.replace("\x1b[K", "")) if part]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_of_a_training_is_wider_than_the_terminal(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = written(monkeypatch, Terminal(), 1.0)
    shown = callbacks.Progress(epochs=12, steps=30)
    shown.on_train_begin()
    for epoch in range(2):
        shown.on_epoch_begin(epoch)
        for step in range(30):
            shown.on_train_batch_end(step, LONG)
        shown.on_epoch_end(epoch, LONG)
    assert max(map(len, rows(stream.getvalue()))) < width
    assert stream.getvalue().count("\n") == 2
    assert rows(stream.getvalue())[-1].startswith("epoch 2/12")
    assert rows(stream.getvalue())[-1].endswith(" left")


def test_a_training_in_a_pipe_says_a_line_a_minute(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), 1.0)
    shown = callbacks.Progress(epochs=1, steps=1000)
    shown.on_train_begin()
    shown.on_epoch_begin(0)
    for step in range(300):
        shown.on_train_batch_end(step, {"loss": 1.0})
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 6
    assert all(re.fullmatch(r"epoch 1/1  step \d+/1000  loss 1.0000  \d+:\d\d left", line) for line in lines)


@pytest.mark.parametrize("width", [30, 60, 80])
def test_bars_fit_the_terminal_and_tell_the_time_left(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = written(monkeypatch, Terminal(), 0.5)
    with progress.progress("reading validation sounds") as update:
        for done in range(1, 101):
            update(done, 100)
    found = rows(stream.getvalue())
    assert max(map(len, found)) < width
    assert found[0] == "reading validation sounds ..."
    assert "\n" not in stream.getvalue()
    assert width < 80 or re.fullmatch(r"reading validation sounds  99 %  \[#{19} \]  0:0\d left", found[-2])


def test_a_long_step_in_a_pipe_says_a_line_a_minute_and_a_short_one_nothing(monkeypatch):
    for step, expected in ((0.01, 0), (2.0, 3)):
        stream = written(monkeypatch, io.StringIO(), step)
        list(progress.counted(range(100), 100, "features"))
        assert abs(len(stream.getvalue().splitlines()) - expected) <= 1 if expected else not stream.getvalue()


def test_an_export_says_each_step_and_the_time_left(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), 30.0)
    told = export.steps_said(["onnx", "litert", "litert-int8"])
    for step in ("answers", "measure", "onnx", "litert", "litert-int8"):
        told(step)
    assert stream.getvalue().splitlines() == [
        "  answers of the model itself",
        "  what quantised files are measured by",
        "  onnx, 1 of 3",
        "  litert, 2 of 3, about 1:00 left",
        "  litert-int8, 3 of 3, about 0:30 left",
    ]


class Passing:
    """A clock that moves by what is waited, until `seconds` have passed."""

    def __init__(self, seconds):
        self.now, self.seconds, self.said, self.lines = 0.0, seconds, 0.0, []

    def wait(self, seconds):
        self.now += seconds
        return self.now > self.seconds

    def tell(self):
        self.lines.append(round(self.now, 1))
        self.said = self.now

    def silent(self):
        return self.now - self.said


@pytest.mark.parametrize(("seconds", "lines"), [(1.9, []), (2.1, [2.0]), (61, [2.0]), (125, [2.0, 62.0, 122.0])])
def test_what_takes_long_says_so_after_two_seconds_and_each_minute(seconds, lines):
    clock = Passing(seconds)
    progress.tell_while(clock.wait, clock.tell, clock.silent)
    assert clock.lines == lines


def test_what_is_said_within_a_step_counts():
    clock = Passing(10)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if clock.now == 0:
            clock.said = 1.5  # another line
        return Passing.wait(clock, seconds)

    progress.tell_while(wait, clock.tell, clock.silent)
    assert clock.lines == [3.5]
    assert waits[:2] == [2.0, 1.5]


def hurried(monkeypatch):
    """Standard error where two seconds of silence are none."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LIVE_SECONDS", 0.001)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def told(stream, words):
    """Whether a thread writes a line within five seconds."""
    until = time.monotonic() + 5
    while words not in stream.getvalue() and time.monotonic() < until:
        time.sleep(0.001)
    return words in stream.getvalue()


def test_the_first_step_of_a_training_in_a_pipe_is_said(monkeypatch):
    quick = hurried(monkeypatch)
    shown = callbacks.Progress(epochs=2, steps=30)
    shown.on_train_begin()
    assert told(quick, "the first step is prepared ...\n")
    shown.on_epoch_begin(0)
    shown.on_train_batch_end(0, {"loss": 1.0})
    assert told(quick, "epoch 1/2, 30 steps ...\n")
    shown.on_test_begin()
    assert told(quick, "epoch 1/2, validating ...\n")
    shown.on_test_end()
    shown.on_epoch_end(0, {"loss": 1.0})
    assert quick.getvalue().splitlines()[-1].startswith("epoch 1/2  loss 1.0000")


def test_a_step_in_a_pipe_is_said_before_its_first_part_is_done(monkeypatch):
    quick = hurried(monkeypatch)
    with progress.progress("features"):
        assert told(quick, "features ...\n")


def test_loading_is_said_on_the_screen_while_what_libraries_print_is_held_back(monkeypatch, capfd):
    hurried(monkeypatch)
    said = ""
    with backend.quiet_start():
        os.write(2, b"noise\n")
        until = time.monotonic() + 5
        while not said and time.monotonic() < until:
            said += capfd.readouterr().err
    assert said == "loading TensorFlow ...\n"
    assert capfd.readouterr().err == ""


def test_no_line_comes_after_a_training_that_ended_by_an_error(monkeypatch):
    hurried(monkeypatch)
    shown = callbacks.Progress(epochs=2, steps=30)
    shown.on_train_begin()
    trainer.silence([shown])
    assert shown.step is None
    assert terminal.silent() >= 0
