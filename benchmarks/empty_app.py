"""The reference of the first paint: a Textual app with one header and one table."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Header


class EmptyApp(App[None]):
    TITLE: str | None = "Reference"

    def compose(self) -> ComposeResult:
        yield Header()
        yield DataTable()

    def on_mount(self) -> None:
        self.query_one(DataTable).add_column("Nothing")


if __name__ == "__main__":
    EmptyApp().run()
