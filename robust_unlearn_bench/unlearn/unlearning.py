"""Unlearning by recipe: a model folder in, a model folder with a card out."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..models import checkpoint as checkpoints
from ..training.ranks import Ranks, join
from .card import card, weight_change
from .corpora import corpora_for, refuse_overlap
from .preflight import plan
from .recipe import Recipe, load_recipe
from .run import UnlearningRun, copy_into
from .state import RunFolder

__all__ = ["unlearn"]


def unlearn(
    recipe: str | Path | Recipe,
    model: str | Path,
    out: str | Path,
    *,
    forget: str | Path | None = None,
    retain: str | Path | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    allow_overlap: int = 0,
    reuse: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    announce: Callable[[str], object] = lambda line: None,
) -> Path:
    """Unlearn, and write the model to a folder with `unlearning.json` (the card) and `unlearning.jsonl` (the log).

    An interrupted run continues from its last checkpoint when it is started again; on one machine the result is
    bit-identical to that of an uninterrupted run. Under torchrun or accelerate launch the processes share the model
    (FSDP2), and only the first writes; such a run keeps no state to continue from.

    Args:
        recipe: name, path or content of the recipe.
        model: folder or hub name of the target.
        out: folder for the result, which must be absent or empty.
        forget: JSONL file that replaces the suite's forget text; see `corpora.read_jsonl`.
        retain: JSONL file that replaces the suite's retain text.
        data_dir: local mirror of the suite's data.
        overrides: "key=value" changes to a recipe that is read from a file.
        allow_overlap: number of forget examples that may also be retain examples.
        reuse: return at once when `out` already holds the result of this recipe for this model and data.
        device: device to compute on; "cuda" stands for each process's own device.
        progress: called with (steps done, total steps, description of the losses).
        announce: called with the plan in one line before the model is loaded.

    Returns:
        Path of the folder; on processes other than the first, its content may still be incomplete.

    Raises:
        ConfigError: the recipe is wrong or cannot be run by several processes, or `out` is not empty.
        DataError: the data are missing, empty or overlap.
        ModelError: the model cannot be trained, or the run fits into no memory.
        TrainingError: a loss or gradient is not finite; the message names the last good checkpoint.
    """
    from ..models.weights import fingerprint

    ranks = join(device)
    folder = Path(out)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    corpora = corpora_for(chosen.suite, forget, retain, data_dir)
    overlap = refuse_overlap(corpora, allow_overlap)
    if ranks.world == 1 and (line := plan(chosen, model, corpora, device)):
        announce(line)
    checkpoint = checkpoints.load(model, device=device if ranks.world == 1 else "cpu")
    identity = {
        "recipe": chosen.method,
        "model": fingerprint(checkpoint.model),
        "forget": corpora.forget.sha256,
        "retain": corpora.retain.sha256,
    }
    if reuse and _holds(folder, identity):
        return folder
    checkpoints.refuse_to_overwrite(folder)
    begun = time.perf_counter()
    run_folder = _run_folder(folder, identity, ranks)
    target = {name: p.detach().to("cpu", copy=True) for name, p in checkpoint.model.named_parameters()}
    run = UnlearningRun(chosen, checkpoint.model, checkpoint.tokenizer, corpora, run_folder, progress, ranks)
    outcome = run.carry_out()
    if run_folder is None:
        return folder
    if ranks.world > 1:
        checkpoint = checkpoints.load(model)
        copy_into(dict(checkpoint.model.named_parameters()), run_folder.kept())
    content = {
        "name": folder.name if isinstance(recipe, Recipe) else Path(recipe).stem,
        "target": Path(model).name,
        **card(chosen, corpora, identity, outcome, weight_change(target, checkpoint.model)),
        "overlap": overlap,
        "processes": ranks.world,
        "placement": dataclasses.asdict(outcome.placement),
        "seconds": round(time.perf_counter() - begun, 3),
    }
    checkpoints.save(checkpoint, folder, {"unlearning.json": content})
    shutil.move(run_folder.log, folder / "unlearning.jsonl")
    run_folder.remove()
    return folder


def _run_folder(folder: Path, identity: Mapping[str, Any], ranks: Ranks) -> RunFolder | None:
    """Make the scratch folder, on the first process; a run cannot be resumed by a different number of processes."""
    if ranks.rank > 0:
        return None
    shared = {"processes": ranks.world} if ranks.world > 1 else {}
    return RunFolder(folder.with_name(f".{folder.name}.run"), {**identity, **shared})


def _holds(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Return whether a folder holds the complete result of this very run."""
    path = folder / "unlearning.json"
    if not path.is_file():
        return False
    told: Any = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(told, dict) and told.get("identity") == json.loads(json.dumps(identity))
