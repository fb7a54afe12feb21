"""What starts fast stays fast: heavy packages load only in the branch that needs them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

HEAVY = ("anyio", "sqlalchemy", "alembic", "textual", "pydantic", "structlog")
COMMANDS = {
    "help": "from tui.__main__ import main; sys.argv = ['quarterdeck', '--help']; main()",
    "version": "from tui.__main__ import main; sys.argv = ['quarterdeck', '--version']; main()",
    "import engine.api": "import engine.api",
    "import tui.cli": "import tui.cli",
}


def loaded(quarterdeck: Quarterdeck, code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after *code*."""
    program = f"import sys; {code}; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=quarterdeck.environment,
        cwd=quarterdeck.folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("code", COMMANDS.values(), ids=COMMANDS.keys())
def test_nothing_heavy_is_loaded(quarterdeck: Quarterdeck, code: str) -> None:
    assert loaded(quarterdeck, code).isdisjoint(HEAVY)


def test_checking_a_file_loads_neither_console_nor_store(quarterdeck: Quarterdeck) -> None:
    code = "from tui.cli import run; run(['check', 'paper.yaml'])"
    assert loaded(quarterdeck, code).isdisjoint({"textual", "sqlalchemy", "alembic", "structlog"})


def test_a_run_without_a_terminal_does_not_load_the_console(quarterdeck: Quarterdeck) -> None:
    code = "from tui.cli import run; run(['run', '--headless', '--json', '--for', '0.1'])"
    assert "textual" not in loaded(quarterdeck, code)


def test_help_shows_examples(quarterdeck: Quarterdeck) -> None:
    done = quarterdeck("--help")
    assert (done.code, done.err) == (0, "")
    assert "quarterdeck run deterministic.yaml --headless --json" in done.out
    assert quarterdeck("run", "--help").code == 0
