"""MUSE's sustainability from the command line: four requests in turn, each model made from the one before."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench.cli import app
from robust_unlearn_bench.models import checkpoint as checkpoints
from robust_unlearn_bench.models.weights import fingerprint
from robust_unlearn_bench.suites import SUITES, Corpora
from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune

pytestmark = pytest.mark.slow


def rub(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def corpora(mirror: Path) -> Callable[[str], Corpora]:
    """Forget and retain text of a suite."""
    return lambda suite: SUITES[suite].corpora(SUITES[suite].source(str(mirror)))


@pytest.fixture
def target(corpora: Any, tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    """A small model that knows all four forget sets and the retain text by heart."""
    known = corpora("muse_news_scal4")
    examples = [*known.forget.examples, *known.retain.examples]
    model = tiny_llama(window=512)
    finetune(model, tiny_tokenizer, examples, FinetuneConfig(steps=150, lr=1e-2, batch_size=25, precision="fp32"))
    return checkpoints.save(checkpoints.Checkpoint(model.eval(), tiny_tokenizer), tmp_path / "target", {})


def test_four_requests_in_turn(
    target: Path, mirror: Path, corpora: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUB_DATA", str(mirror))
    monkeypatch.setenv("RUB_CACHE", str(tmp_path / "cache"))

    def memorised(model: Path, k: int) -> float:
        """Greedy matches among the second halves of the texts of request k, once every task has given numbers."""
        suite = SUITES[f"muse_news_sust{k}"]
        told = json.loads(rub("eval", suite.name, "--model", model, "--device", "cpu", "--json").splitlines()[-1])
        for leaf in suite.leaves:
            for metric in leaf.metrics:
                assert math.isfinite(told["results"][f"{suite.name}_{leaf.name}"][f"{metric.name},none"])
        return float(told["results"][f"{suite.name}_fold_extraction"]["em,none"])

    assert min(memorised(target, k) for k in (1, 2, 3, 4)) > 0.8, (
        "not 1: the texts of request 1 differ in a number alone"
    )
    model = target
    for k in (1, 2, 3, 4):
        suite, before = f"muse_news_sust{k}", fingerprint(checkpoints.load(model).model)
        out = tmp_path / f"u{k}"
        rub("unlearn", "muse_news/npo-adam", "--model", model, "--set", f"suite={suite}", "--out", out,
            "--set", "epochs=10", "--set", "optimizer.lr=1e-3", "--set", "precision=fp32")  # fmt: skip
        card = json.loads((out / "unlearning.json").read_text())
        assert card["identity"]["recipe"]["suite"] == suite
        assert card["identity"]["forget"] == corpora(suite).forget.sha256
        assert card["identity"]["model"] == before
        known = card["completion_probability"]
        assert known["after"]["forget"] < 0.5 * known["before"]["forget"]
        assert known["after"]["retain"] > 0.6
        memorised(out, k)
        model = out
    assert max(memorised(model, k) for k in (1, 2, 3, 4)) < 0.5, "earlier requests stay forgotten"
