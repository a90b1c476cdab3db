"""`rub submit`: measure a model on a whole suite and prepare its submission to the leaderboard.

record.json, <task>.jsonl   files to submit: numbers and hashes
checklist.md                the commands and the description of the pull request
results/                    output of lm-eval, which contains the suite's texts and is not submitted
merged/                     for an adapter: the whole model that was measured, to be published
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConfigError, ModelError, RecordError
from .leaderboard.build.from_results import Built, record_from_results
from .leaderboard.build.lmeval_results import result_files
from .leaderboard.build.method_card import method_fields
from .leaderboard.check.checklist import checklist
from .leaderboard.check.validate import Verdict, validate_for
from .leaderboard.record.entry import Entry
from .leaderboard.record.field_types import plain_name
from .leaderboard.record.schema import Kind
from .leaderboard.record.sealing import read_record
from .leaderboard.store import Store
from .models.checkpoint import is_adapter, load, save
from .suites import SUITES

__all__ = ["Submission", "measure", "submit"]

CHECKLIST = "checklist.md"


@dataclass(frozen=True, slots=True)
class Submission:
    """A prepared submission.

    Attributes:
        entry: record with its items.
        verdict: verdict of the validator that intake also runs.
        checklist: file with the steps to a pull request.
    """

    entry: Entry
    verdict: Verdict
    checklist: Path


@dataclass(frozen=True, slots=True)
class _Weights:
    """A checkpoint on disk, and the hub repository and commit that it is a copy of, if any."""

    folder: Path
    repo: str | None = None
    revision: str | None = None


def submit(
    model: str,
    suite: str,
    out: Path,
    store: Store,
    *,
    recipe: str | None = None,
    name: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    batch_size: int | str = "auto",
    data_dir: str | None = None,
) -> Submission:
    """Run `<suite>_robust` on a model, write its record, validate it as intake does, and write the checklist.

    An adapter is merged into its base model first, and the whole model is what is measured and submitted.

    Answers are cached attack by attack: when it is started again, an interrupted run continues where it stopped, and a
    finished one writes the same record.

    Args:
        model: folder or hub name of the model.
        suite: name of the suite.
        out: folder to write to; may hold an earlier submission of this model to this suite.
        store: leaderboard folder to validate against.
        recipe: name or path of the recipe that made the model, for a model folder without `unlearning.json`.
        name: name of the row on the leaderboard.
        revision: revision of a hub model; its newest commit by default.
        dtype: dtype of the weights, as in lm-eval.
        device: device, as in lm-eval.
        batch_size: batch size, as in lm-eval.
        data_dir: local mirror of the suite's data.

    Raises:
        UnknownNameError: there is no such suite or recipe.
        ConfigError: `out` holds another submission, or the recipe is not the one that made the model.
        DataError: the suite's data are missing.
        ModelError: there is no such model, or it cannot be submitted.
    """
    chosen = SUITES[suite]
    located = _locate(model, revision)
    adapter = is_adapter(located.folder)
    weights = _Weights(out / "merged" / Path(model).resolve().name) if adapter else located
    earlier = _earlier(out, suite, weights)
    method = _method(recipe, suite, located.folder) if recipe else None
    source = chosen.source(data_dir or os.environ.get("RUB_DATA"))
    for leaf in chosen.leaves:  # missing data are noticed before the weights are loaded
        leaf.docs(source)
    chosen.corpora(source)
    if adapter:
        save(load(located.folder), weights.folder, {})
    built = measure(
        weights.folder,
        suite,
        out / "results",
        run={"dtype": dtype, "device": device, "batch_size": batch_size, "data_dir": data_dir},
        name=name,
        method=method,
        submitted_at=earlier,
        repo=weights.repo,
        revision=weights.revision,
    )
    if built.missing:
        raise RecordError(f"{len(built.missing)} cells of {suite} are missing ({built.missing[0]}, …); run it again")
    built.entry.save(out)
    verdict = validate_for(store, built.entry)
    path = out / CHECKLIST
    path.write_text(checklist(built.entry, verdict, out), encoding="utf-8")
    return Submission(built.entry, verdict, path)


def measure(
    model: Path,
    suite: str,
    out: Path,
    *,
    run: dict[str, Any] | None = None,
    kind: Kind = "unlearned",
    **record: Any,
) -> Built:
    """Write the results of `<suite>_robust` to a folder, and return the record built from them.

    Args:
        model: checkpoint folder.
        suite: name of the suite.
        out: folder for lm-eval's results.
        run: dtype, device, batch_size and data_dir of the run.
        kind: role of the model in its suite.
        record: further arguments of `record_from_results`.
    """
    from .harness.evaluate import evaluate

    options = {"dtype": "auto", "device": None, "batch_size": "auto", "data_dir": None, **(run or {})}
    with redirect_stdout(sys.stderr):  # lm-eval prints what it does
        evaluate(
            "hf",
            {"pretrained": str(model), "dtype": options["dtype"], "use_safetensors": True},
            [f"{suite}_robust"],
            out=out,
            batch_size=options["batch_size"],
            device=options["device"],
            metadata={"data_dir": options["data_dir"]} if options["data_dir"] else {},
        )
    return record_from_results(result_files(out)[-1], model=model, kind=kind, **record)


def _locate(model: str, revision: str | None) -> _Weights:
    """Find the checkpoint on this machine or fetch it from the hub, JSON and safetensors alone."""
    folder, repo = Path(model), None
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        wanted = ["*.json", "*.safetensors", "*.model", "*.txt"]
        try:
            folder, repo = Path(snapshot_download(model, revision=revision, allow_patterns=wanted)), model
        except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise ModelError(
                f"model {model!r} is neither a folder here nor a repository found on the hub ({type(error).__name__})"
            ) from error
    elif revision:
        raise ConfigError(f"--revision {revision} applies to hub repositories, but {model} is a folder; leave it out")
    if not (is_adapter(folder) or (folder / "config.json").is_file()) or not list(folder.glob("*.safetensors")):
        raise ModelError(f"{model} is not a checkpoint (config.json and *.safetensors); save it with save_pretrained()")
    return _Weights(folder, repo, folder.name if repo else None)


def _earlier(out: Path, suite: str, weights: _Weights) -> str | None:
    """Return the time at which the submission in `out` was first made, or None if there is none."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; --out names a folder")
    if not (out / "record.json").is_file():
        return None
    there = read_record(out / "record.json")
    name = plain_name(weights.repo or weights.folder.resolve().name)
    if (there.suite.name, there.model.name) != (suite, name):
        raise ConfigError(
            f"{out} holds the submission of {there.model.name} to {there.suite.name}; choose another --out"
        )
    return there.submitted_at


def _method(recipe: str, suite: str, folder: Path) -> dict[str, Any]:
    """Return the fields that the recipe fills in, after checking that it agrees with the model's own card."""
    from .unlearn.card import recipe_facts
    from .unlearn.recipe import Recipe, load_recipe

    chosen = load_recipe(recipe)
    if chosen.suite not in (None, suite):
        raise ConfigError(f"recipe {recipe} is for {chosen.suite}, the submission for {suite}; leave --recipe out")
    card = folder / "unlearning.json"
    told = json.loads(card.read_text(encoding="utf-8")).get("identity", {}).get("recipe") if card.is_file() else None
    if told is None:
        return method_fields({"name": Path(recipe).stem, **recipe_facts(chosen)})
    told = Recipe.model_validate(told).method  # cards of earlier versions leave defaults out
    if told == chosen.method:
        return {}  # the card has more details
    differing = sorted(key for key in {*told, *chosen.method} if told.get(key) != chosen.method.get(key))
    raise ConfigError(
        f"{card} records a different recipe from {recipe} (they differ in {', '.join(differing)}); leave --recipe out"
    )
