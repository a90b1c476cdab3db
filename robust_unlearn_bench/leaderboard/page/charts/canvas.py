"""SVG elements, axes, grade markers, and labels that keep clear of each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from ...record.grades import GRADES, Grade

__all__ = ["GLYPHS", "Frame", "Labels", "el", "figure", "marker", "px"]

# Drawn relative to the marker's centre: each begins with a relative move.
_SHAPES: dict[str, str] = {
    "second": "m0-5.6 5.6 5.6-5.6 5.6-5.6-5.6z",
    "first": "m-4.4 0a4.4 4.4 0 1 0 8.8 0a4.4 4.4 0 1 0-8.8 0z",
    "compressed": "m0-5.4 5.2 9.4h-10.4z",
    "smoothed": "m-4-4h8v8h-8z",
    "zeroth": "m0 5.4-5.2-9.4h10.4z",
    "hybrid": "m0-6.4 1.6 4.4 4.6.1-3.7 2.8 1.4 4.6-3.9-2.8-3.9 2.8 1.4-4.6-3.7-2.8 4.6-.1z",
    "other": "m-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    "control": "m-4-4 8 8m-8 0 8-8",
}

GLYPHS: dict[Grade, str] = {
    "second": "◆",
    "first": "●",
    "compressed": "▲",
    "smoothed": "■",
    "zeroth": "▼",
    "hybrid": "★",
    "other": "✚",
}
"""The marker of each grade as a character, for tables and legends."""


def px(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0").replace("-0", "-0" if abs(value) >= 0.05 else "0")


def el(tag: str, *children: str, text: str | None = None, **attributes: object) -> str:
    """One element; attribute values and `text` are escaped, `children` are elements already."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(px(value) if isinstance(value, float) else str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    body = "".join(children) + (escape(text, quote=False) if text is not None else "")
    return f"<{tag}{written}>{body}</{tag}>" if body else f"<{tag}{written}/>"


def marker(points: Sequence[tuple[float, float]], grade: str | None, title: str, extra: str = "") -> str:
    """The grade's shape at every point, as one element with one tooltip."""
    name = grade or "control"
    path = "".join(f"M{px(x)} {px(y)}{_SHAPES[name]}" for x, y in points)
    return el("path", el("title", text=title), d=path, class_=f"mk g-{name}{extra}")


def figure(body: Iterable[str], *, key: str, width: int, height: int, title: str, description: str) -> str:
    """An SVG with its accessible name and description."""
    return el(
        "svg",
        el("title", text=title, id=f"{key}-t"),
        el("desc", text=description, id=f"{key}-d"),
        *body,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{key}-t",
        aria_describedby=f"{key}-d",
        class_="chart",
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """A plotting area with linear axes.

    Attributes:
        left: px of the y axis.
        top: px of the upper edge.
        width: px.
        height: px.
        x: data range.
        y: data range.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float] = (0.0, 1.0)

    def px(self, value: float) -> float:
        """X in px, clipped to the area."""
        return self.left + self.width * _share(value, self.x)

    def py(self, value: float) -> float:
        """Y in px, clipped to the area."""
        return self.top + self.height * (1 - _share(value, self.y))

    def x_axis(self, ticks: Sequence[tuple[float, str]], label: str, grid: bool = True) -> list[str]:
        """Grid lines, tick labels below, and the axis label."""
        bottom = self.top + self.height
        parts = []
        for value, text in ticks:
            at = self.px(value)
            if grid:
                parts.append(el("path", d=f"M{px(at)} {px(self.top)}V{px(bottom)}", class_="grid"))
            parts.append(el("text", text=text, x=at, y=bottom + 15, class_="tick mid"))
        parts.append(el("text", text=label, x=self.left + self.width / 2, y=bottom + 32, class_="axis mid"))
        return parts

    def y_axis(self, ticks: Sequence[tuple[float, str]], label: str) -> list[str]:
        """Grid lines, tick labels on the left, and the axis label above them."""
        parts = []
        for value, text in ticks:
            at = self.py(value)
            parts.append(el("path", d=f"M{px(self.left)} {px(at)}H{px(self.left + self.width)}", class_="grid"))
            parts.append(el("text", text=text, x=self.left - 7, y=at + 4, class_="tick end"))
        parts.append(el("text", text=label, x=self.left - 34, y=self.top - 12, class_="axis"))
        return parts


@dataclass(slots=True)
class Labels:
    """Text placed beside points where nothing else stands; a label without a free place is left out."""

    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def avoid(self, x: float, y: float, radius: float = 6) -> None:
        """Keep labels off a marker."""
        self.taken.append((x - radius, y - radius, x + radius, y + radius))

    def place(self, x: float, y: float, text: str, right: float, extra: str = "") -> str:
        """A text element near (x, y), or "" when it would cover something or pass `right`."""
        width = 6.2 * len(text)
        for dx, dy, anchor in (
            (9, 4, "start"),
            (-9, 4, "end"),
            (0, -10, "middle"),
            (0, 18, "middle"),
            (9, -8, "start"),
            (9, 15, "start"),
        ):
            start = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
            box = (start, y + dy - 9, start + width, y + dy + 3)
            if box[0] < 2 or box[2] > right or any(_overlap(box, other) for other in self.taken):
                continue
            self.taken.append(box)
            kind = {"start": "", "end": " end", "middle": " mid"}[anchor]
            return el("text", text=text, x=x + dx, y=y + dy, class_=f"lab{kind}{extra}")
        return ""


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move sorted positions apart to at least `gap`, staying within [low, high] where they fit."""
    placed: list[float] = []
    for position in positions:
        placed.append(max(position, placed[-1] + gap if placed else low))
    overflow = placed[-1] - high if placed else 0
    if overflow > 0:
        limit = high
        for i in range(len(placed) - 1, -1, -1):
            placed[i] = min(placed[i], limit)
            limit = placed[i] - gap
    return placed


def shorten(text: str, length: int = 26) -> str:
    """Cut a long name for a label; the tooltip has it in full."""
    return text if len(text) <= length else text[: length - 1] + "…"


def legend(grades: Iterable[str | None], x: float, y: float) -> list[str]:
    """Marker and name of each grade, in a row."""
    parts, present = [], set(grades)
    for grade in [g for g in GRADES if g in present]:
        parts.append(marker([(x, y)], grade, GRADES[grade]))
        parts.append(el("text", text=grade, x=x + 10, y=y + 4, class_="tick"))
        x += 26 + 6.4 * len(grade)
    return parts


def _share(value: float, limits: tuple[float, float]) -> float:
    return min(max((value - limits[0]) / (limits[1] - limits[0]), 0.0), 1.0)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
