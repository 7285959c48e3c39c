"""Lines of progress fit the terminal; where there is none, there is one a minute."""

import io
import re
import sys

import pytest

from convmedia.apps import _callbacks, _exports, _progress

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
    monkeypatch.setattr(_progress.time, "perf_counter", Clock(step))
    return stream


def rows(text):
    """What stands on the lines of a terminal one after the other."""
    return [part for part in re.split(r"\r|\n", text.replace("\x1b[K", "")) if part]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_of_a_training_is_wider_than_the_terminal(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = written(monkeypatch, Terminal(), 1.0)
    shown = _callbacks.Progress(epochs=12, steps=30)
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
    shown = _callbacks.Progress(epochs=1, steps=1000)
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
    with _progress.progress("reading validation sounds") as update:
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
        list(_progress.counted(range(100), 100, "features"))
        assert abs(len(stream.getvalue().splitlines()) - expected) <= 1 if expected else not stream.getvalue()


def test_an_export_says_each_step_and_the_time_left(monkeypatch):
    stream = written(monkeypatch, io.StringIO(), 30.0)
    told = _exports.steps_said(["onnx", "litert", "litert-int8"])
    for step in ("answers", "measure", "onnx", "litert", "litert-int8"):
        told(step)
    assert stream.getvalue().splitlines() == [
        "  answers of the model itself",
        "  what quantised files are measured by",
        "  onnx, 1 of 3",
        "  litert, 2 of 3, about 1:00 left",
        "  litert-int8, 3 of 3, about 0:30 left",
    ]
