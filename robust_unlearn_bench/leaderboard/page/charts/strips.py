"""Scores by optimizer grade: does an optimizer that knows less about the loss forget more robustly?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ...record.grades import GRADES
from .canvas import Frame, el, figure, marker, px
from .marks import Mark

__all__ = ["strips"]

_LANE = 34


def strips(marks: Sequence[Mark], key: str) -> str:
    """One lane a grade, one marker a model, a bar at the median; "" without a scored model."""
    lanes = {g: [m for m in marks if m.grade == g and m.row.score.value is not None] for g in GRADES}
    lanes = {grade: members for grade, members in lanes.items() if members}
    if not lanes:
        return ""
    height = _LANE * len(lanes)
    frame = Frame(left=118, top=8, width=560, height=height, x=(0, 1))
    parts = frame.x_axis([(x / 4, str(25 * x)) for x in range(5)], "robust unlearning score")
    for i, (grade, members) in enumerate(lanes.items()):
        y = frame.top + _LANE * (i + 0.5)
        parts.append(el("path", d=f"M{px(frame.left)} {px(y)}H{px(frame.left + frame.width)}", class_="lane"))
        parts.append(el("text", text=grade, x=frame.left - 12, y=y + 4, class_=f"lab end t-{grade}"))
        values = [m.row.score.value or 0.0 for m in members]
        at = frame.px(median(values))
        parts.append(el("path", d=f"M{px(at)} {px(y - 12)}V{px(y + 12)}", class_=f"median g-{grade}"))
        last: list[float] = []
        for value, member in sorted(zip(values, members, strict=True), key=lambda pair: (pair[0], pair[1].name)):
            x = frame.px(value)
            level = sum(1 for other in last if x - other < 9)
            last.append(x)
            shift = (0, -8, 8, -4, 4)[level % 5]
            parts.append(marker([(x, y + shift)], grade, f"{member.name}: {100 * value:.1f}"))
    return figure(
        parts,
        key=key,
        width=700,
        height=int(frame.top + height + 40),
        title="Score by optimizer grade",
        description="One marker a model; the upright bar is the grade's median. Grades from most to least information.",
    )
