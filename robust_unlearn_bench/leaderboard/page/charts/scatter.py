"""One quantity against another: what does robustness cost, and does what a model says agree with what it holds?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...scoring.board import Row
from ...scoring.stats import Number
from .canvas import Frame, Labels, el, figure, legend, marker, px, shorten
from .marks import Mark

__all__ = ["COST", "FAMILIES", "Plane", "scatter"]

_LABELLED = 8

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plane:
    """Two quantities of a row.

    Attributes:
        title: accessible name of the chart.
        description: accessible description.
        x: label of the x axis, and the quantity on it.
        y: label of the y axis, and the quantity on it.
        level: what the dotted lines join points of.
        contour: the points of such a line, and where its label stands.
    """

    title: str
    description: str
    x: tuple[str, Callable[[Row], Number]]
    y: tuple[str, Callable[[Row], Number]]
    level: str
    contour: Callable[[float], tuple[list[Point], Point]]


def _equal_score(level: float) -> tuple[list[Point], Point]:
    """Points with 2fu / (f + u) = level: f = level·u / (2u − level)."""
    start = level / (2 - level)
    points = [start + (1 - start) * i / 40 for i in range(41)]
    return [(u, level * u / (2 * u - level)) for u in points], (1.0, start)


def _equal_minimum(level: float) -> tuple[list[Point], Point]:
    """Points whose smaller coordinate is the level."""
    return [(level, 1.0), (level, level), (1.0, level)], (level, 0.92)


COST = Plane(
    title="Robust forgetting against utility",
    description="Upper right is best. Crosses are controls: target, retrain, models that know nothing. "
    "Bars are 95 % intervals; dotted lines join points of equal score.",
    x=("utility kept", lambda row: row.utility),
    y=("robust forgetting", lambda row: row.robust_forgetting),
    level="score",
    contour=_equal_score,
)

FAMILIES = Plane(
    title="Forgetting by what a model holds against forgetting by what it says",
    description="Upper right is best. A model at the lower right has stopped saying the text and still holds it. "
    "Crosses are controls: target, retrain, models that know nothing. Bars are 95 % intervals; dotted lines join points "
    "of equal robust forgetting.",
    x=("forgotten by what it says", lambda row: row.says),
    y=("forgotten by what it holds", lambda row: row.holds),
    level="forgetting",
    contour=_equal_minimum,
)


def scatter(marks: Sequence[Mark], key: str, plane: Plane) -> str:
    """One marker a model with its 95 % intervals, controls as crosses; "" when no model that is no control has both."""
    (across, x_of), (up, y_of) = plane.x, plane.y
    found = [(m, x_of(m.row), y_of(m.row)) for m in marks]
    spots = [(m, x, y, x.value, y.value) for m, x, y in found if x.value is not None and y.value is not None]
    if not any(m.grade for m, *_ in spots):
        return ""
    frame = Frame(left=48, top=40, width=580, height=360, x=(0, 1))
    ticks = [(x / 4, str(25 * x)) for x in range(5)]
    parts = frame.y_axis(ticks, up)
    parts += frame.x_axis(ticks, across)
    for level in (0.25, 0.5, 0.75):
        points, (x, y) = plane.contour(level)
        line = "L".join(f"{px(frame.px(a))} {px(frame.py(b))}" for a, b in points)
        parts.append(el("path", d="M" + line, class_="contour"))
        words = f"{plane.level} {100 * level:.0f}"
        parts.append(el("text", text=words, x=frame.px(x) - 4, y=frame.py(y) - 5, class_="note end"))
    labels = Labels([(0, 0, 220, 24)])  # the axis label's place
    for _, _, _, x, y in spots:
        labels.avoid(frame.px(x), frame.py(y))
    for m, across_number, up_number, x, y in spots:
        parts += _bars(frame, m.grade, across_number, up_number, (frame.px(x), frame.py(y)))
    placed, named = 0, set()
    for m, _, _, a, b in sorted(spots, key=lambda s: (s[0].grade is not None, -(s[0].row.score.value or 0), s[0].name)):
        x, y = frame.px(a), frame.py(b)
        tip = f"{m.name}: {across} {100 * a:.1f}, {up} {100 * b:.1f}"
        parts.append(marker([(x, y)], m.grade, tip))
        text = "models that know nothing" if m.row.record.model.kind == "null" else shorten(m.name)
        if text not in named and (m.grade is None or placed < _LABELLED):
            named.add(text)
            placed += m.grade is not None
            parts.append(labels.place(x, y, text, 640, "" if m.grade else " faint"))
    parts += legend((m.grade for m, *_ in spots if m.grade), 60, 462)
    return figure(parts, key=key, width=640, height=476, title=plane.title, description=plane.description)


def _bars(frame: Frame, grade: str | None, across: Number, up: Number, at: Point) -> list[str]:
    """The intervals of both quantities, crossing at the marker."""
    parts = []
    if across.low is not None and across.high is not None:
        parts.append(f"M{px(frame.px(across.low))} {px(at[1])}H{px(frame.px(across.high))}")
    if up.low is not None and up.high is not None:
        parts.append(f"M{px(at[0])} {px(frame.py(up.low))}V{px(frame.py(up.high))}")
    return [el("path", d="".join(parts), class_=f"bar g-{grade or 'control'}")] if parts else []
