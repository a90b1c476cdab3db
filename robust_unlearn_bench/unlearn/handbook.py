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

What `rub unlearn` can do, generated from the code. A recipe names an objective, a retain loss and an optimizer; each step
takes one batch of forget and one of retain text and lowers

    forget_weight · ℓ_forget + retain_weight · ℓ_retain

    rub unlearn nano_books/npo-hybrid --model TARGET --out OUT                  # a published recipe
    rub unlearn mine.yaml --set objective.beta=0.05 --model TARGET --out OUT    # your own, with a change
    rub unlearn mine.yaml --forget mine.jsonl --retain rest.jsonl --model TARGET --out OUT    # on your own text
    rub unlearn muse_news/npo-adam --set suite=muse_news_sust2 --model U1 --out U2    # the next of several requests

A JSONL line is {"text": …}, {"question": …, "answer": …} or {"prompt": …, "completion": …}. Losses count the tokens of
completions only, are computed in fp32, and are not changed by padding. Weights and states are fp32 and passes bf16
autocast unless `precision` says otherwise: `fp32`, `bf16_pure` (small steps are lost in rounding, as in much published
code), `bf16_kahan` (bf16 with what rounding lost carried along). Clipping scales the estimated gradient to a norm of at
most `clip`, for every optimizer alike. `OUT/unlearning.json` records passes, the distance that the weights moved, the
selection rule and the tuning trials; a run with `checkpoint_every` goes on, bit for bit, where it was interrupted.

π is the model, π_ref the model before unlearning, f a forget and r a retain example, CE the mean of −log p over tokens.
"""


def handbook() -> str:
    """Markdown: every objective, retain loss and optimizer with formula, hyper-parameters and source."""
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
    """The grade table: from high to low information about the loss."""
    yield "F is a forward pass of one batch, B a backward pass (about 2 F); bytes are per parameter, with fp32 states."
    yield ""
    yield "| optimizer | grade | update | a step costs | states |"
    yield "|---|---|---|---|---|"
    for name in by_grade():
        row = OPTIMIZERS[name].facts
        passes = f"{row.cost.forwards:g} F" + (f" + {row.cost.backwards:g} B" if row.cost.backwards else "")
        states = "by shape" if row.state_bytes is None else f"{row.state_bytes:g}"
        copy = f" + {row.extra_bytes:g} in a step" if row.extra_bytes else ""
        yield f"| `{name}` | {GRADES[grade_of(name)]} | `{row.rule.replace('|', chr(92) + '|')}` | {passes} | {states}{copy} |"
    yield ""


def _described(kind: Any) -> Iterator[str]:
    """A docstring's text, its attributes with types and defaults as a table, its source and departures."""
    said = described(kind)
    fields = [field for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING]
    yield from (said.text, "")
    yield from parameter_table("hyper-parameter", fields, said.attributes)
    yield from notes(_sections(kind, said), ("Source", "Departs"))


def _sections(kind: Any, said: Described) -> Mapping[str, str]:
    """Sections of a class, or those of the function beside it that holds its formula."""
    beside = (member for _, member in inspect.getmembers(inspect.getmodule(kind), inspect.isfunction))
    for function in beside:
        if "Source" not in said.sections and function.__module__ == kind.__module__:
            said = described(function)
    return said.sections
