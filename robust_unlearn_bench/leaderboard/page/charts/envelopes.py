"""The most that an attacker gets out of a model, against the steps that he may take: how much work brings it back?"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from ...scoring.families import Envelope
from .canvas import Frame, el, figure, legend, marker, px, shorten, spread
from .marks import Mark

__all__ = ["envelope_chart", "half_text", "shares"]

_LABELLED = 14

Point = tuple[float, float]


def shares(envelope: Envelope, values: Sequence[float]) -> list[float]:
    """Values as shares of the gap: 0 is the unattacked retrain model, 1 the unattacked target."""
    low, high = envelope.retrain[0], envelope.target[0]
    return [(value - low) / (high - low) for value in values]


def half_text(envelope: Envelope, values: Sequence[float]) -> str:
    """Steps after which half of the gap is back; "> k" where the largest budget k does not bring it back."""
    half = envelope.half(values)
    return f"> {envelope.budgets[-1]}" if half is None else f"{half:.0f}"


def envelope_chart(found: Sequence[tuple[Mark, Envelope]], key: str, what: str) -> str:
    """One line for each model, between those of the retrain model and the target.

    Args:
        found: models with their envelopes of one metric and attacker; controls are drawn as the others.
        key: prefix of the identifiers in the drawing.
        what: the metric in words, for the accessible name.

    Returns:
        The drawing, or "" without a model, or where a single budget leaves nothing to draw.
    """
    control = max((envelope for _, envelope in found), key=lambda envelope: len(envelope.budgets), default=None)
    if control is None or len(control.budgets) < 3:
        return ""
    budgets = control.budgets
    places = _places(budgets)
    frame = Frame(left=48, top=30, width=440, height=330, x=(places[0] - 0.3, places[-1] + 0.1), y=(-0.1, 1.1))
    parts = frame.y_axis([(0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1, "100")], "share of the gap, percent")
    parts += frame.x_axis(_ticks(budgets, places), "optimizer steps of the attacker, logarithmic")
    y = frame.py(0.5)
    parts.append(el("path", d=f"M{px(frame.left)} {px(y)}H{px(frame.left + frame.width)}", class_="anchor"))
    parts.append(el("text", text="half of the gap", x=frame.left + 5, y=y - 4, class_="note"))
    if control.counted < len(budgets):
        at = frame.px(places[control.counted])
        parts.append(el("path", d=f"M{px(at)} {px(frame.top)}V{px(frame.top + frame.height)}", class_="anchor"))
        words = "learnt anew by the retrain model: no longer counted"
        parts.append(el("text", text=words, x=at - 4, y=frame.top + frame.height - 6, class_="note end"))
    ends: list[tuple[float, str, str]] = []
    for name, values in (("target", control.target), ("retrain model", control.retrain)):
        at_each = _points(frame, budgets, shares(control, values))
        parts += _line(at_each, "reference")
        ends.append((at_each[-1][1], name, "control"))
    for m, envelope in found:
        if m.grade is None and m.row.unranked == "anchor":
            continue  # drawn as a reference
        at_each = _points(frame, envelope.budgets, shares(envelope, envelope.row))
        grade = m.grade or "control"
        parts += _line(at_each, f"line g-{grade}")
        parts.append(marker(at_each, m.grade, _tooltip(m, envelope)))
        ends.append((at_each[-1][1], m.name, grade))
    ends = sorted([*ends[:2], *ends[2 : _LABELLED + 2]])
    right, bottom = frame.left + frame.width, frame.top + frame.height
    heights = spread([y for y, _, _ in ends], 14, frame.top, bottom)
    for (y, name, grade), height in zip(ends, heights, strict=True):
        parts.append(el("path", d=f"M{px(right + 8)} {px(y)}L{px(right + 18)} {px(height)}", class_="lead"))
        parts.append(el("text", text=shorten(name, 20), x=right + 22, y=height + 4, class_=f"lab t-{grade}"))
    parts += legend((m.grade for m, _ in found if m.grade), 60, 422)
    return figure(
        parts,
        key=key,
        width=640,
        height=436,
        title=f"{what} against the steps of an attacker {control.attacker}",
        description="The most that any attack gets out of a model within a budget of optimizer steps, as a share of the "
        "gap between the unattacked retrain model (0) and the unattacked target (100). A line close to that of the "
        "retrain model, which has to learn the text, saves the attacker nothing.",
    )


def _places(budgets: Sequence[int]) -> list[float]:
    """Positions of ascending budgets on the logarithmic axis; 0 stands apart, one and a half doublings before the rest."""
    first = next((k for k in budgets if k > 0), 1)
    return [log2(k) if k > 0 else log2(first) - 1.5 for k in budgets]


def _ticks(budgets: Sequence[int], places: Sequence[float]) -> list[tuple[float, str]]:
    """A tick for each budget whose number finds room."""
    room = (places[-1] - places[0]) / 16
    shown: list[tuple[float, str]] = []
    for k, place in zip(budgets, places, strict=True):
        if not shown or place - shown[-1][0] >= room:
            shown.append((place, str(k)))
    return shown


def _points(frame: Frame, budgets: Sequence[int], values: Sequence[float]) -> list[Point]:
    return [(frame.px(x), frame.py(y)) for x, y in zip(_places(budgets), values, strict=True)]


def _line(points: Sequence[Point], kind: str) -> list[str]:
    """A line through the points; from the first, which is no attack at all, it is only hinted at."""
    text = [f"{px(x)} {px(y)}" for x, y in points]
    hint = [el("path", d="M" + "L".join(text[:2]), class_=f"{kind} hint")] if len(text) > 1 else []
    return [*hint, el("path", d="M" + "L".join(text[1:]), class_=kind)]


def _tooltip(m: Mark, envelope: Envelope) -> str:
    savings = envelope.savings.value
    saved = "" if savings is None else f", saves {100 * savings:.0f} % of the work of learning it"
    return f"{m.name}: half of the gap after {half_text(envelope, envelope.row)} steps{saved}"
