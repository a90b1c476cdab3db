"""Two processes that share one model (FSDP2) do what one does."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError, TrainingError
from robust_unlearn_bench.models import checkpoint as checkpoints
from robust_unlearn_bench.objectives.masking import scored
from robust_unlearn_bench.objectives.objective import Mean
from robust_unlearn_bench.training.batching import Batches
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.loop import StepClosures, Term
from robust_unlearn_bench.training.model_view import ModelView
from robust_unlearn_bench.training.ranks import ALONE, Ranks, join
from robust_unlearn_bench.unlearn import unlearn

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]

STORY = """
import json, os, sys
from pathlib import Path
from robust_unlearn_bench.errors import RubError
from robust_unlearn_bench.unlearn import unlearn

folder = Path(sys.argv[1])
said = {}
for recipe in sorted(folder.glob("*.yaml")):
    try:
        unlearn(
            recipe, folder / "target", folder / "two" / recipe.stem,
            forget=folder / "forget.jsonl", retain=folder / "retain.jsonl",
        )
    except RubError as error:
        said[recipe.stem] = str(error)
(folder / f"said{os.environ['RANK']}.json").write_text(json.dumps(said))
"""
"""Every run in one start of two processes: a start takes longer than a run."""

RULES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": {"name": "adam", "lr": 1e-3}},
    "adam8bit": {"optimizer": {"name": "adam8bit", "lr": 1e-3}},
    "signadam": {"optimizer": {"name": "signadam", "lr": 1e-4}},
    "sophia": {"optimizer": {"name": "sophia", "lr": 1e-4, "every": 2}},
    "tar": {"optimizer": {"name": "tar", "lr": 1e-3, "inner_lr": 1e-3, "inner_steps": 2}, "micro_batch": 1},
    "sam": {"optimizer": {"name": "sam", "lr": 1e-3}, "micro_batch": 1},
    "rs": {"optimizer": {"name": "rs", "lr": 1e-3}, "retain": {"name": "kl"}},
    "ada_zo": {"optimizer": {"name": "ada_zo", "lr": 1e-4}},
    "hizoo": {"optimizer": {"name": "hizoo", "lr": 1e-4}},
    "hybrid": {"optimizer": {"name": "hybrid", "lr_fo": 1e-3, "lr_zo": 1e-3, "n_fo": 2, "n_zo": 2}},
    "rmu": {
        "objective": {"name": "rmu", "layer": 0}, "retain": {"name": "activation", "layer": 0},
        "train": [r"model\.layers\.0\.mlp\.down_proj\.weight"], "gradient_checkpointing": True,
    },
    "best": {"checkpoint_every": 2, "select": {"rule": "best_retain"}, "retain_weight": 0.1},
}  # fmt: skip

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "lora": ({"lora": {"rank": 2}}, "recipe key lora merges its adapter"),
    "lat": ({"objective": {"name": "lat", "layer": 0}}, "objective lat needs whole weights"),
    "kahan": ({"precision": "bf16_kahan"}, "precision bf16_kahan replaces weights"),
    "muon": ({"optimizer": {"name": "muon"}}, "optimizer muon needs whole tensors"),
    "q8": ({"optimizer": {"name": "adam_q8update"}}, "optimizer adam_q8update needs whole tensors"),
    "scalar": ({"optimizer": {"name": "ada_zo", "v": "scalar"}}, "ada_zo with v=scalar needs whole tensors"),
    "broken": ({"optimizer": {"name": "sgd", "lr": 1e30}, "clip": None}, "the gradient is nan at step 2"),
}


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "unlearning.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoints.load(folder).model.state_dict()
    return state


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    return float(sum((one[name] - two[name]).double().square().sum() for name in one)) ** 0.5


def launched(arguments: list[Any], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in arguments], env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(
    tiny_llama: Callable[..., Any], tiny_tokenizer: Any, files: dict[str, Path], recipe_file: Any, tmp_path: Path
) -> None:
    """Tied weights, batches of 3 (uneven parts, the last of an epoch is 2), fp32; losses and weights to 1e-5.

    The norm that a zeroth-order rule knows is a difference of losses over 2ε = .002, so its error is larger.
    """
    target, two = tmp_path / "target", tmp_path / "two"
    checkpoints.save(checkpoints.Checkpoint(tiny_llama(tied=True), tiny_tokenizer), target, {})
    data = {side: files[side] for side in ("forget", "retain")}
    for name, changes in {**RULES, **{name: changes for name, (changes, _) in REFUSED.items()}}.items():
        content = json.loads(recipe_file(**{"steps": 4, "batch_size": 3, "schedule": "linear"} | changes).read_text())
        (tmp_path / f"{name}.yaml").write_text(json.dumps({**content, **changes}))
    (tmp_path / "recipe.yaml").unlink()
    script = tmp_path / "story.py"
    script.write_text(STORY)
    done = launched([*LAUNCH, script, tmp_path])
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        said = json.loads((tmp_path / f"said{rank}.json").read_text())
        assert said.keys() == REFUSED.keys()
        for name, (_, message) in REFUSED.items():
            assert message in said[name]
            assert not (two / name).exists()
    for name in RULES:
        one = unlearn(tmp_path / f"{name}.yaml", target, tmp_path / "one" / name, **data)
        error = {**dict.fromkeys(("forget", "retain", "forwards", "backwards"), 1e-5), "norm": 5e-3}
        if name == "adam8bit":
            error = dict.fromkeys(error, 1e-3)  # a code may flip where a sum differs in its last bit
        for ours, theirs in zip(log_of(one), log_of(two / name), strict=True):
            for key, e in error.items():
                assert theirs[key] == pytest.approx(ours[key], rel=e, abs=e), (name, key, ours["step"])
        cards = [json.loads((folder / "unlearning.json").read_text()) for folder in (one, two / name)]
        assert [card["processes"] for card in cards] == [1, 2]
        assert cards[0]["steps"] == cards[1]["steps"]
        assert cards[0]["identity"] == cards[1]["identity"]
        (a, b), before = ([weights(folder) for folder in (one, two / name)]), weights(target)
        assert distance(a, b) < distance(a, before) * (0.1 if name == "adam8bit" else 1e-4), name
        if name != "adam8bit":
            assert max(float((a[key] - b[key]).abs().max()) for key in a) < 1e-5, name
    left = sorted(p.name for p in two.iterdir() if p.name.startswith("."))
    assert all(name.removeprefix(".").removesuffix(".run") in REFUSED for name in left)


def test_outside_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join() is ALONE
    assert (ALONE.sum(0.1), ALONE.mean(0.1)) == (0.1, 0.1)


def test_deepspeed_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(ConfigError, match=r"takes the optimizer step inside its backward pass.*torchrun"):
        join()


class Shares(Ranks):
    """One of four processes, the others silent."""

    def sum(self, value: float) -> float:
        return value


def closures(batches: Batches, loss: Any, rank: int, micro_batch: int | None = None) -> StepClosures:
    made = StepClosures(
        ModelView(torch.nn.Linear(1, 1)), Term((Mean(loss),), batches), None, micro_batch, Shares(rank, 4)
    )
    made.seek(0)
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("micro_batch", [None, 1, 2])
def test_parts_of_all_processes_are_the_batch(size: int, micro_batch: int | None) -> None:
    """Loss: mean over tokens of the number of the sequence, n + 1 tokens each; every process has as many passes."""
    sequences = [Encoded(ids=tuple(range(n + 2)), start=1, source=n, cut=0) for n in range(size)]
    batches = Batches(sequences, size, 0)
    passes, total = set(), 0.0
    for rank in range(4):
        seen: list[Any] = []

        def loss(part: Any, seen: list[Any] = seen) -> torch.Tensor:
            seen.append(part)
            tokens = scored(part.labels).sum(1)
            return (tokens * part.index).sum() / tokens.sum()

        total += closures(batches, loss, rank, micro_batch).forget(backward=False)
        passes.add(len(seen))
    assert len(passes) == 1
    assert total == pytest.approx(sum((n + 1) * n for n in range(size)) / sum(n + 1 for n in range(size)))


def test_a_loss_that_is_not_finite_on_one_process_names_the_whole_batch() -> None:
    batches = Batches([Encoded(ids=(0, 1), start=1, source=n, cut=0) for n in range(6)], 6, 0)
    with pytest.raises(TrainingError, match=r"forget loss is nan at step 1, examples \[0, 1, 2, 3, 4, 5\]"):
        closures(batches, lambda part: torch.tensor(math.nan), 1).forget(backward=False)
