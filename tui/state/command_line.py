"""The ``:`` command line: one word and its argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """A line as understood; *problem* is a sentence if it was not."""

    name: str
    argument: str = ""
    problem: str = ""


COMMANDS: Final[dict[str, str]] = {
    "exec": "show executors, filtered: :exec pnl<0",
    "theme": "switch the theme: :theme quarterdeck-light",
    "session": "look at another session: :session main",
    "dash": "go to the dashboard",
    "agents": "go to the agents",
    "flow": "go to the event flow",
    "backtests": "go to the backtests",
    "containers": "go to the live containers",
    "optim": "go to the optimisation studies",
    "logs": "go to the logs",
    "settings": "choose how things are shown",
    "help": "list all keys",
    "q": "quit",
}
_MODES: Final = {
    "dash": "dashboard", "dashboard": "dashboard", "agents": "agents", "flow": "flow",
    "optim": "optimization", "studies": "optimization",
    "logs": "logs", "backtests": "backtests", "tests": "backtests", "containers": "containers",
}  # fmt: skip
_OTHER_NAMES: Final = {"quit": "q", "wq": "q", "executors": "exec", "h": "help", "set": "settings"}


def parse_command(text: str, actions: Collection[str] = ()) -> Command:
    """Return what the line *text* means: a command, or one of *actions* by its id.

    An action is any that the palette may list, such as ``:exec.stop``.
    """
    word, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    name = _OTHER_NAMES.get(word.casefold(), word.casefold())
    argument = argument.strip()
    if name in _MODES:
        return Command("mode", _MODES[name])
    if name not in COMMANDS:
        from difflib import get_close_matches

        if name in actions:
            return Command("action", name)
        near = get_close_matches(name, [*COMMANDS, *actions], n=1)
        hint = f" Did you mean :{near[0]}?" if near else " :help lists the keys."
        return Command(name, argument, f"There is no command :{word}.{hint}")
    if name == "session" and not argument:
        return Command(name, argument, ":session needs a name, for example :session main")
    return Command(name, argument)


def suggestions(
    themes: Sequence[str], sessions: Sequence[str], actions: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return whole lines to complete to."""
    return (
        *COMMANDS,
        *(f"theme {name}" for name in themes),
        *(f"session {name}" for name in sessions),
        "exec state:running",
        "exec pnl<0",
        "exec pnl>0",
        *actions,
    )
