"""Text for terminals that show plain letters only."""

from __future__ import annotations

import codecs

import pytest
from rich.cells import cell_len

from tui.formatting.ascii_text import ascii_signs, replace_unknown


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain text stays", "plain text stays"),
        ("▲ +1,234.50", "^ +1,234.50"),
        ("▼ -56.10", "v -56.10"),
        ("● running ○ created ⚠ late", "* running o created ! late"),
        ("✓ done ✗ failed", "+ done x failed"),
        ("cut…", "cut~"),
        ("╭─ Log ─╮", "+- Log -+"),
        ("▁▄█", "_=*"),
        ("⠀⠙⣿", " ::"),
        ("López", "Lopez"),
        ("名", "??"),
        ("e\u0301", "e"),
        ("\x1b[1m●\x1b[0m", "\x1b[1m*\x1b[0m"),
    ],
)
def test_every_sign_has_a_plain_one_of_its_width(text: str, plain: str) -> None:
    assert ascii_signs(text) == plain
    assert cell_len(ascii_signs(text)) == cell_len(text)


def test_an_encoding_asks_only_for_what_it_lacks() -> None:
    codecs.register_error("test-signs", replace_unknown)
    assert "a · ▲ ó".encode("latin-1", "test-signs") == "a · ^ ó".encode("latin-1")
    assert "a · ▲ ó".encode("ascii", "test-signs") == b"a . ^ o"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "test-signs")
