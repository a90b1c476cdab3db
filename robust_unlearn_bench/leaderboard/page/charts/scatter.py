"""Robust forgetting against utility: what does robustness cost?"""

from __future__ import annotations

from collections.abc import Sequence

from .canvas import Frame, Labels, el, figure, legend, marker, px, shorten
from .marks import Mark

__all__ = ["scatter"]

_LABELLED = 8


def scatter(marks: Sequence[Mark], key: str) -> str:
    """One marker a model with its 95 % intervals, controls as crosses, dotted lines of equal score."""
    known = [m for m in marks if m.row.utility.value is not None and m.row.robust_forgetting.value is not None]
    frame = Frame(left=48, top=40, width=580, height=360, x=(0, 1))
    ticks = [(x / 4, str(25 * x)) for x in range(5)]
    parts = frame.y_axis(ticks, "robust forgetting")
    parts += frame.x_axis(ticks, "utility kept")
    for level in (0.25, 0.5, 0.75):
        parts.append(_contour(frame, level))
        edge = level / (2 - level)
        parts.append(
            el("text", text=f"score {100 * level:.0f}", x=frame.px(1) - 4, y=frame.py(edge) - 5, class_="note end")
        )
    labels = Labels([(0, 0, 160, 24)])  # the axis label's place
    spots = {m: (frame.px(m.row.utility.value or 0), frame.py(m.row.robust_forgetting.value or 0)) for m in known}
    for x, y in spots.values():
        labels.avoid(x, y)
    for m in known:
        parts += _bars(frame, m, *spots[m])
    placed, named = 0, set()
    for m in sorted(known, key=lambda m: (m.grade is not None, -(m.row.score.value or 0), m.name)):
        x, y = spots[m]
        parts.append(marker([(x, y)], m.grade, _tell(m)))
        control = m.row.record.model.kind == "null"
        text = "models that know nothing" if control else shorten(m.name)
        if text not in named and (m.grade is None or placed < _LABELLED):
            named.add(text)
            placed += m.grade is not None
            parts.append(labels.place(x, y, text, 640, "" if m.grade else " faint"))
    parts += legend((m.grade for m in known if m.grade), 60, 462)
    return figure(
        parts,
        key=key,
        width=640,
        height=476,
        title="Robust forgetting against utility",
        description="Upper right is best. Crosses are controls: target, retrain, models that know nothing. "
        "Bars are 95 % intervals; dotted lines join points of equal score.",
    )


def _tell(m: Mark) -> str:
    forgetting, utility = m.row.robust_forgetting.value or 0, m.row.utility.value or 0
    return f"{m.name}: forgetting {100 * forgetting:.1f}, utility {100 * utility:.1f}"


def _bars(frame: Frame, m: Mark, x: float, y: float) -> list[str]:
    parts = []
    utility, forgetting = m.row.utility, m.row.robust_forgetting
    if utility.low is not None and utility.high is not None:
        parts.append(f"M{px(frame.px(utility.low))} {px(y)}H{px(frame.px(utility.high))}")
    if forgetting.low is not None and forgetting.high is not None:
        parts.append(f"M{px(x)} {px(frame.py(forgetting.low))}V{px(frame.py(forgetting.high))}")
    return [el("path", d="".join(parts), class_=f"bar g-{m.grade or 'control'}")] if parts else []


def _contour(frame: Frame, level: float) -> str:
    """Points with 2fu / (f + u) = level: f = level·u / (2u − level)."""
    start = level / (2 - level)
    points = [start + (1 - start) * i / 40 for i in range(41)]
    path = "L".join(f"{px(frame.px(u))} {px(frame.py(level * u / (2 * u - level)))}" for u in points)
    return el("path", d="M" + path, class_="contour")
