"""A terminal that goes away never stops what writes to it."""

from __future__ import annotations

import io
import threading

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from tui.terminal import LosableFile


class Gone(io.StringIO):
    """A terminal that takes one text and is closed then."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_what_is_written_before_the_loss_arrives_and_the_rest_is_dropped() -> None:
    terminal = Gone()
    file = LosableFile(terminal)
    for _ in range(3):
        file.write("frame")
        file.flush()
    assert terminal.getvalue() == "frame"
    assert file.is_lost


def test_a_closed_file_is_a_lost_one() -> None:
    terminal = io.StringIO()
    terminal.close()
    file = LosableFile(terminal)
    file.write("frame")
    assert file.is_lost


def test_everything_else_is_the_files_own() -> None:
    assert LosableFile(io.StringIO()).isatty() is False
    with pytest.raises(AttributeError):
        _ = LosableFile(io.StringIO()).nothing


def test_the_queue_to_a_lost_terminal_never_fills_up() -> None:
    writer = WriterThread(LosableFile(Gone()))  # type: ignore[arg-type]  # as the driver does
    writer.start()

    def paint() -> None:
        for _ in range(10 * MAX_QUEUED_WRITES):
            writer.write("frame")
        writer.stop()

    painter = threading.Thread(target=paint, daemon=True)
    painter.start()
    painter.join(10)
    assert not painter.is_alive()
