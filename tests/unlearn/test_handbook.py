"""docs/unlearning.md leaves no hyper-parameter unexplained."""

from __future__ import annotations

from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES
from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.unlearn.handbook import handbook


def test_everything_has_a_heading_and_every_hyper_parameter_an_explanation() -> None:
    page = handbook()
    for name in (*OBJECTIVES, *RETAIN_LOSSES, *OPTIMIZERS):
        assert page.count(f"### `{name}`\n") == 1
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 4]
    assert len(rows) > 80
    assert not [row for row in rows if row.endswith("|  |")]


def test_every_forget_loss_names_its_source() -> None:
    for part in handbook().split("### ")[1:]:
        assert "*Source:*" in part or part.startswith(("`nll`", "`activation`")), part.splitlines()[0]
