"""Before and after quantisation, by optimizer grade: what does quantisation bring back?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...record.grades import GRADES
from .canvas import Frame, el, figure, marker, px, shorten

__all__ = ["Change", "dumbbell"]

_LANE, _SHOWN = 22, 40


@dataclass(frozen=True, slots=True)
class Change:
    """One model before and after.

    Attributes:
        name: display name of the model.
        grade: grade of its optimizer, None for a control.
        before: value before quantisation, in [0, 1].
        after: value after quantisation, in [0, 1].
    """

    name: str
    grade: str | None
    before: float
    after: float


def dumbbell(changes: Sequence[Change], key: str, quantity: str, attack: str) -> str:
    """One lane a model: a hollow marker before, a full one after, grades from most to least information."""
    order = [*GRADES, None]
    shown = sorted(changes, key=lambda c: (order.index(c.grade), -c.after, c.name))[:_SHOWN]
    if not shown:
        return ""
    height = _LANE * len(shown)
    frame = Frame(left=190, top=8, width=470, height=height, x=(0, 1))
    parts = frame.x_axis([(x / 4, str(25 * x)) for x in range(5)], quantity)
    previous: str | None = "nothing yet"
    for i, change in enumerate(shown):
        y = frame.top + _LANE * (i + 0.5)
        if change.grade != previous and i:
            parts.append(el("path", d=f"M8 {px(y - _LANE / 2)}H{px(frame.left + frame.width)}", class_="lane"))
        previous = change.grade
        a, b = frame.px(change.before), frame.px(change.after)
        style = change.grade or "control"
        tip = f"{change.name}: {100 * change.before:.1f} before, {100 * change.after:.1f} after {attack}"
        parts.append(el("text", text=shorten(change.name, 27), x=frame.left - 12, y=y + 4, class_=f"lab end t-{style}"))
        parts.append(el("path", d=f"M{px(a)} {px(y)}H{px(b)}", class_=f"line g-{style}"))
        parts.append(marker([(a, y)], change.grade, tip, " hollow"))
        parts.append(marker([(b, y)], change.grade, tip))
    return figure(
        parts,
        key=key,
        width=680,
        height=int(frame.top + height + 40),
        title=f"{quantity} before and after {attack}",
        description=f"Hollow: before. Full: after {attack}. A long line to the right is knowledge that quantisation brought back.",
    )
