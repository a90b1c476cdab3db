"""Leakage against the amount of work that the attacker spends: how fast does knowledge come back?"""

from __future__ import annotations

from collections.abc import Sequence

from ...scoring.curve import Curve
from .canvas import Frame, el, figure, legend, marker, px, shorten, spread
from .marks import Mark

__all__ = ["curves"]

_LABELLED = 14


def curves(marks: Sequence[Mark], line: str, key: str) -> str:
    """One line for each model.

    Args:
        marks: the rows; controls are left out.
        line: name of the curve, as in `AttackId.line`.
        key: prefix of the identifiers in the drawing.

    Returns:
        The drawing, or "" when no model has that curve.
    """
    found = [(m, c) for m in marks if m.grade for c in m.row.curves if c.line == line]
    if not found:
        return ""
    unit = found[0][1].unit
    last = max(k for _, c in found for k, _ in c.points)
    frame = Frame(left=48, top=30, width=440, height=330, x=(0, last), y=(-0.1, 1.1))
    ticks = sorted({k for _, c in found for k, _ in c.points})
    parts = frame.y_axis([(0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1, "100")], "leakage")
    parts += frame.x_axis([(k, str(k)) for k in ticks], f"{unit} of {line}")
    for level, words in ((1.0, "target"), (0.5, "half the gap"), (0.0, "retrain, same attack")):
        y = frame.py(level)
        parts.append(el("path", d=f"M{px(frame.left)} {px(y)}H{px(frame.left + frame.width)}", class_="anchor"))
        parts.append(el("text", text=words, x=frame.left + 5, y=y - 4, class_="note"))
    ends = []
    for m, c in found:
        at = [(frame.px(k), frame.py(leak)) for k, leak in c.points]
        parts.append(el("path", d="M" + "L".join(f"{px(x)} {px(y)}" for x, y in at), class_=f"line g-{m.grade}"))
        parts.append(marker(at, m.grade, _tell(m, c)))
        ends.append((frame.py(c.points[-1][1]), m.name, str(m.grade)))
    ends = sorted(ends)[:_LABELLED]
    right = frame.left + frame.width
    for (y, name, grade), height in zip(
        ends, spread([y for y, _, _ in ends], 14, frame.top, frame.top + frame.height), strict=True
    ):
        parts.append(el("path", d=f"M{px(right + 8)} {px(y)}L{px(right + 18)} {px(height)}", class_="lead"))
        parts.append(el("text", text=shorten(name, 20), x=right + 22, y=height + 4, class_=f"lab t-{grade}"))
    parts += legend((m.grade for m, _ in found if m.grade), 60, 422)
    return figure(
        parts,
        key=key,
        width=640,
        height=436,
        title=f"Leakage against {unit} of {line}",
        description=f"The leakiest forget metric after k {unit}; 0 is the retrain model relearned alike, 100 the target. "
        "A line that stays low relearns slowly.",
    )


def _tell(m: Mark, c: Curve) -> str:
    half = "half the gap never regained" if c.k50 is None else f"half the gap after {c.k50:.0f} {c.unit}"
    return f"{m.name}: {half}"
