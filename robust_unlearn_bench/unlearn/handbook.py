"""docs/unlearning.md, generated from the docstrings of objectives and optimizers by `make generated`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ..docstrings import Described, described, notes, parameter_table
from ..objectives import OBJECTIVES, RETAIN_LOSSES
from ..optimizers import GRADES, OPTIMIZERS, by_grade, grade_of

__all__ = ["handbook"]

PREAMBLE = """\
# Unlearning

Objectives, retain losses and optimizers of `rub unlearn`, generated from the code. A recipe names one of each; every
step takes a batch of forget text and a batch of retain text, and reduces

    forget_weight · ℓ_forget + retain_weight · ℓ_retain

    rub unlearn nano_books/npo-hybrid --model TARGET --out OUT                  # a published recipe
    rub unlearn mine.yaml --set objective.beta=0.05 --model TARGET --out OUT    # your own, with one change
    rub unlearn mine.yaml --forget mine.jsonl --retain rest.jsonl --model TARGET --out OUT    # on your own text
    rub unlearn muse_news/npo-adam --set suite=muse_news_sust2 --model U1 --out U2    # one of several requests in turn

A JSONL line is {"text": …}, {"question": …, "answer": …} or {"prompt": …, "completion": …}. Losses are computed
in fp32 over the tokens of completions only; padding does not change them. By default, weights and optimizer states are
fp32 and passes run under bf16 autocast. The other values of `precision` are `fp32`, `bf16_pure` (small steps are lost
to rounding, as in much published code) and `bf16_kahan` (bf16 with the rounding error carried along). Clipping scales
the estimated gradient to a norm of at most `clip`, in the same way for every optimizer. `OUT/unlearning.json` records
the number of passes, the distance that the weights moved, the selection rule and the tuning trials. A run with
`checkpoint_every` resumes, bit for bit, where it was interrupted.

In the formulas, π is the model, π_ref the model before unlearning, f a forget and r a retain example, and CE the mean
of −log p over tokens.
"""


def handbook() -> str:
    """Return Markdown on every objective, retain loss and optimizer, with formula, hyper-parameters and source."""
    lines = [PREAMBLE, "## Objectives", ""]
    for name in OBJECTIVES:
        lines += [f"### `{name}`", "", *_described(OBJECTIVES[name])]
    lines += ["## Retain losses", ""]
    for name in RETAIN_LOSSES:
        lines += [f"### `{name}`", "", *_described(RETAIN_LOSSES[name])]
    lines += ["## Optimizers", "", *_grades()]
    for name in by_grade():
        lines += [f"### `{name}`", "", *_described(OPTIMIZERS[name])]
    return "\n".join(lines).rstrip() + "\n"


def _grades() -> Iterator[str]:
    """Yield the grade table, from high to low information about the loss."""
    yield "F is a forward pass of one batch, B a backward pass (about 2 F); bytes are per parameter, with fp32 states."
    yield ""
    yield "| optimizer | grade | update | cost of a step | states |"
    yield "|---|---|---|---|---|"
    for name in by_grade():
        row = OPTIMIZERS[name].facts
        passes = f"{row.cost.forwards:g} F" + (f" + {row.cost.backwards:g} B" if row.cost.backwards else "")
        states = "by shape" if row.state_bytes is None else f"{row.state_bytes:g}"
        copy = f" + {row.extra_bytes:g} in a step" if row.extra_bytes else ""
        yield f"| `{name}` | {GRADES[grade_of(name)]} | `{row.rule.replace('|', chr(92) + '|')}` | {passes} | {states}{copy} |"
    yield ""


def _described(kind: Any) -> Iterator[str]:
    """Yield a docstring's text, its attributes with defaults as a table, its source and departures."""
    said = described(kind)
    fields = [field for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING]
    yield from (said.text, "")
    yield from parameter_table("hyper-parameter", fields, said.attributes)
    yield from notes(_sections(kind, said), ("Source", "Departs"))


def _sections(kind: Any, said: Described) -> Mapping[str, str]:
    """Return the sections of a class, or those of the function in its module that holds the formula."""
    beside = (member for _, member in inspect.getmembers(inspect.getmodule(kind), inspect.isfunction))
    for function in beside:
        if "Source" not in said.sections and function.__module__ == kind.__module__:
            said = described(function)
    return said.sections
