"""What a form says around its controls, and its preview, as styled lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len

from engine.api.views import FormCheck, FormField
from tui.formatting import clean, clip, fit, plural, wrap_words
from tui.state.text import Line

_MIN_LABEL, _MAX_LABEL = 14, 24


def label_width(fields: Sequence[FormField]) -> int:
    """Return the cells for marks and labels of *fields*, within bounds."""
    longest = max((cell_len(clean(item.label)) + 2 * item.required for item in fields), default=0)
    return min(max(longest + 3, _MIN_LABEL), _MAX_LABEL)


def label_line(item: FormField, *, focused: bool, wrong: bool) -> Line:
    """Return the label of a field: ``▸`` if it has the focus, ``✗`` if it is wrong."""
    mark = ("✗ ", "error") if wrong else ("▸ ", "key") if focused else ("  ", "")
    roles = "error" if wrong else "bold" if focused else "dim"
    star = (" *", "warn") if item.required and not item.choices else ("", "")
    text = clip(item.label, _MAX_LABEL - 3 - len(star[0]))
    return (mark, (text, roles), star)


def unit_name(unit: str, trading_pair: str) -> str:
    """Return *unit* for people: ``base`` and ``quote`` by the asset of the pair, ``BTC``."""
    base, dash, quote = trading_pair.partition("-")
    return {"base": base, "quote": quote}.get(unit, unit) if dash and base and quote else unit


def note_line(
    item: FormField, understood: str, *, changed_from: str = "", trading_pair: str = ""
) -> Line:
    """Return what stands to the right of a control: the value as read, or its unit."""
    spans: list[tuple[str, str]] = []
    if understood:
        spans.append((f"= {clean(understood)}", "ok"))
    elif item.unit:
        spans.append((clean(unit_name(item.unit, trading_pair)), "dim"))
    if changed_from:
        spans.append((f"{'  ' if spans else ''}was {clean(changed_from)}", "marked"))
    return tuple(spans)


def error_lines(message: str, width: int) -> list[Line]:
    """Return the lines below a field that is wrong, in *width* cells."""
    lines: list[Line] = []
    for number, part in enumerate(wrap_words(message, max(width - 4, 8))):
        lines.append((("    " if number else "  ✗ ", "error"), (part, "error")))
    return lines


def help_line(item: FormField | None, understood: str) -> Line:
    """Return the help of the field that has the focus, and how its value was read."""
    if item is None:
        return ()
    read = f"= {clean(understood)} · " if understood else ""
    accepted = item.help or (" or ".join(item.choices) if item.choices else "any text")
    need = " · required" if item.required else ""
    return (
        (f"{clean(item.label)}: ", "bold"),
        (read, "ok"),
        (clean(accepted), "dim"),
        (need, "warn"),
    )


def form_preview_lines(
    check: FormCheck,
    width: int,
    *,
    shown_errors: Iterable[str],
    height: int = 0,
    labels: Mapping[str, str] | None = None,
) -> list[Line]:
    """Return the preview in *width* cells: a pair takes two lines where one is too narrow.

    With *labels* by field name the verdict names the first field that keeps the form from being
    sent: it may be scrolled away.
    Where *height* lines are too few (0: no bound), the verdict goes to the first line: it is not
    what may be missing.
    """
    pairs = _pair_lines(check, width)
    verdict = _verdict_lines(check, width, shown_errors, labels or {})
    if height and len(verdict) == 1 and len(pairs) + 3 > height:
        return [(("Preview  ", "bold"), *verdict[0]), *pairs]
    return [(("Preview", "bold"),), *pairs, (), *verdict]


def _pair_lines(check: FormCheck, width: int) -> list[Line]:
    lines: list[Line] = []
    column = max((cell_len(clean(name)) for name, _ in check.preview), default=0) + 2
    for name, value in check.preview:
        label, text = clean(name), clean(value)
        if column + cell_len(text) <= width:
            lines.append(((fit(label, column), "dim"), (text, "")))
        else:
            lines.append(((label, "dim"),))
            lines += [(("  ", ""), (part, "")) for part in wrap_words(text, width - 2)]
    if not check.preview:
        lines.append((("nothing to show yet", "dim"),))
    return lines


def _verdict_lines(
    check: FormCheck, width: int, shown_errors: Iterable[str], labels: Mapping[str, str]
) -> list[Line]:
    errors = list(shown_errors)
    if "" in check.errors:
        parts = wrap_words(check.errors[""], width - 2)
        return [((f"{'  ' if at else '⚠ '}{part}", "warn"),) for at, part in enumerate(parts)]
    if check.ok:
        return [(("✓ ready", "ok"),)]
    wanted = errors or list(check.errors)
    first = next((label for name, label in labels.items() if name in wanted), "")
    which = f": {clean(first)}{', …' if len(wanted) > 1 else ''}" if first else ""
    if errors:
        text, role = f"✗ {plural(len(errors), 'field')} to correct{which}", "error"
    else:
        text, role = f"… {plural(len(check.errors), 'field')} still to fill{which}", "dim"
    return [((clip(text, width), role),)]
