"""Linear mode connectivity: do the models on the line between two models stay good (`rub lmc A B`)?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError, ModelError
from ..models import checkpoint as checkpoints
from ..suites import SUITES

__all__ = ["barrier", "linear_connectivity", "move_between", "plot", "refuse_different"]

_COLOURS = ("#0b62a4", "#c8480c", "#2a7f3f", "#8a3fa0", "#8c6d1f", "#3d4f58")


def linear_connectivity(
    a: str | Path,
    b: str | Path,
    suite: str,
    out: Path,
    *,
    points: int = 11,
    batch_size: int = 16,
    device: str = "cpu",
    data_dir: str | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[str, Any]:
    """Evaluate (1 − t)·A + t·B at evenly spaced t from 0 to 1, and write `lmc.json` and `lmc.svg`.

    Args:
        a: folder or hub name of the model at t = 0.
        b: folder or hub name of the model at t = 1, which has the same architecture and tokenizer.
        suite: suite whose forget and utility metrics are evaluated, without attacks.
        out: folder for the results.
        points: number of models, both ends included.
        batch_size: batch size of the evaluation.
        device: device to evaluate on.
        data_dir: local mirror of the suite's data.
        progress: callback that receives (models done, models in all, what).

    Returns:
        {"suite", "models", "t", "metrics": {"leaf/metric": [one value per point]}, "barrier": {…}}.

    Raises:
        ConfigError: fewer than two points.
        ModelError: the models differ in shape or tokenizer.
        UnknownNameError: there is no such suite.

    Source: Frankle et al. 2020, "Linear mode connectivity and the lottery ticket hypothesis"; Lang et al.,
        arXiv 2510.00761, figure 3.
    """
    from .evaluate import evaluate

    if points < 2:
        raise ConfigError(f"points is {points}: give at least 2, for the two ends")
    chosen = SUITES[suite]
    first, second = checkpoints.load(a, dtype="float32", device=device), checkpoints.load(b, dtype="float32")
    if first.tokenizer.get_vocab() != second.tokenizer.get_vocab():
        raise ModelError(f"{a} and {b} have different tokenizers: interpolate only models that read the same tokens")
    start, end = ({n: p.detach().cpu().clone() for n, p in c.model.named_parameters()} for c in (first, second))
    refuse_different(start, end)
    del second
    metrics = {
        f"{leaf.name}/{m.name}": m for leaf in chosen.leaves for m in leaf.metrics if m.role in ("forget", "utility")
    }
    values: dict[str, list[float | None]] = {name: [] for name in metrics}
    at = [i / (points - 1) for i in range(points)]
    for i, t in enumerate(at):
        move_between(first.model, start, end, t)
        results = evaluate(
            "hf",
            {"pretrained": first.model, "tokenizer": first.tokenizer},
            [suite],
            batch_size=batch_size,
            metadata={"data_dir": data_dir} if data_dir else None,
        )["results"]
        for name in values:
            leaf, _, metric = name.partition("/")
            found: Mapping[str, Any] = next((r for task, r in results.items() if task in (leaf, f"{suite}_{leaf}")), {})
            values[name].append(found.get(f"{metric},none"))
        progress(i + 1, points, f"t = {t:.2f}")
    told = {
        "suite": f"{suite} {chosen.version}",
        "models": [str(a), str(b)],
        "t": at,
        "metrics": values,
        "barrier": {n: barrier(at, v, metrics[n].role == "utility") for n, v in values.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "lmc.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (out / "lmc.svg").write_text(plot(at, values, f"{Path(a).name} to {Path(b).name}, {suite}"), encoding="utf-8")
    return told


def refuse_different(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
    """Raise unless two models have the same parameters.

    Raises:
        ModelError: a parameter is missing from one model or has another shape there; the message names the first.
    """
    shapes = [{name: p.shape for name, p in parameters.items()} for parameters in (a, b)]
    for name in [*a, *b]:
        if shapes[0].get(name) != shapes[1].get(name):
            raise ModelError(f"the two models differ at {name}: interpolate only models of one architecture and size")


@torch.no_grad()
def move_between(model: nn.Module, a: Mapping[str, Tensor], b: Mapping[str, Tensor], t: float) -> None:
    """Set every parameter to (1 − t)·a + t·b; exactly a at 0 and b at 1.

    Args:
        model: model to change in place.
        a: parameters at t = 0, by name.
        b: parameters at t = 1, by name.
        t: position on the line, from 0 to 1.
    """
    for name, p in model.named_parameters():
        p.copy_((1 - t) * a[name] + t * b[name])


def barrier(at: Sequence[float], values: Sequence[float | None], higher_is_better: bool) -> float | None:
    """Compute how far a metric falls behind the straight line between its end values, or None if a value is missing.

    Args:
        at: positions t.
        values: value of the metric at each position.
        higher_is_better: whether larger values are better, so that "behind" means "below".
    """
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    sign = 1 if higher_is_better else -1
    return max(sign * ((1 - t) * known[0] + t * known[-1] - v) for t, v in zip(at, known, strict=True))


def plot(at: Sequence[float], values: Mapping[str, Sequence[float | None]], title: str) -> str:
    """Draw an SVG with one line per metric over t; values outside [0, 1] are clipped.

    Args:
        at: positions t.
        values: values of each metric, one per position.
        title: heading of the plot.
    """
    left, top, width, height = 44, 34, 420, 260

    def x(t: float) -> float:
        return left + t * width

    def y(v: float) -> float:
        return top + (1 - min(1.0, max(0.0, v))) * height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {top + height + 46}" font-family="sans-serif" '
        f'font-size="12" role="img"><title>{escape(title)}</title>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{left}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for v in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path d="M{left} {y(v):.1f}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end" fill="#555">{100 * v:g}</text>')
    for t in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{x(t):.1f}" y="{top + height + 18}" text-anchor="middle" fill="#555">{t:g}</text>')
    parts.append(f'<text x="{x(0.5):.1f}" y="{top + height + 38}" text-anchor="middle">t</text>')
    for i, (name, line) in enumerate(values.items()):
        colour, dash = _COLOURS[i % len(_COLOURS)], "" if i < len(_COLOURS) else ' stroke-dasharray="5 3"'
        points = [(x(t), y(v)) for t, v in zip(at, line, strict=True) if v is not None]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        row = top + 14 + 20 * i
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>' if points else "")
        parts.append(f'<path d="M{left + width + 16} {row - 4}h22" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{left + width + 44}" y="{row}">{escape(name)}</text>')
    return "".join(parts) + "</svg>\n"
