"""What `rub submit` refuses before it loads any weights; what it does is told in tests/cli/test_story.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from simulated_records import World

from robust_unlearn_bench.errors import ConfigError, DataError, ModelError, RecordError, UnknownNameError
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.store import Store
from robust_unlearn_bench.submit import _locate, submit
from robust_unlearn_bench.unlearn.recipe import load_recipe

RECIPE = "nano_books/npo-adam"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Looks like a checkpoint; loading it would fail."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def refused(model: Any, tmp_path: Path, error: type[Exception], match: str, **options: Any) -> None:
    words = {"suite": "nano_books", "out": tmp_path / "out", "store": Store(tmp_path / "board"), **options}
    with pytest.raises(error, match=match) as told:
        submit(str(model), **words)
    assert "\n" not in str(told.value)


def test_unknown_suite(model: Path, tmp_path: Path) -> None:
    refused(model, tmp_path, UnknownNameError, "did you mean 'nano_books'", suite="nano_bocks")


def test_no_such_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("nobody/nothing", "no/such/folder"):
        refused(name, tmp_path, ModelError, "neither a folder here nor a repository")


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_not_a_checkpoint(model: Path, tmp_path: Path, lacking: str) -> None:
    (model / lacking).unlink()
    refused(model, tmp_path, ModelError, "not a checkpoint")


def test_pickled_weights_are_no_weights(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    refused(model, tmp_path, ModelError, "safetensors")


def test_the_whole_model_of_an_adapter_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    saved: list[tuple[Path, Path]] = []

    def measured(folder: Path, *rest: Any, **options: Any) -> None:
        assert (options["repo"], options["revision"]) == (None, None)
        raise RecordError(f"measured {folder}")

    monkeypatch.setattr("robust_unlearn_bench.submit.load", lambda folder: folder)
    monkeypatch.setattr("robust_unlearn_bench.submit.save", lambda whole, out, cards: saved.append((whole, out)))
    monkeypatch.setattr("robust_unlearn_bench.submit.measure", measured)
    merged = tmp_path / "out" / "merged" / "adapter"
    refused(adapter, tmp_path, RecordError, f"measured {merged}")
    assert saved == [(adapter, merged)]


def test_revision_of_a_folder(model: Path, tmp_path: Path) -> None:
    refused(model, tmp_path, ConfigError, "leave it out", revision="main")


def test_missing_data(model: Path, tmp_path: Path) -> None:
    refused(model, tmp_path, DataError, "knowmem", suite="muse_books", data_dir=str(tmp_path))


def test_out_is_a_file(model: Path, tmp_path: Path) -> None:
    refused(model, tmp_path, ConfigError, "is a file", out=model / "config.json")


def test_out_holds_another_submission(model: Path, tmp_path: Path) -> None:
    level = {"none": {"verbmem": 0.5, "knowmem_forget": 0.5, "knowmem_retain": 0.5}}
    entry = World().entry("other", level)
    entry.save(tmp_path / "out")
    refused(model, tmp_path, ConfigError, f"holds the submission of {entry.record.model.name} to nano_books")
    fields = entry.record.model_dump(mode="json", exclude={"submission_id"})
    same = seal(**{**fields, "model": {**fields["model"], "name": "model"}})
    (tmp_path / "out" / "record.json").write_bytes(same.json_bytes())
    refused(model, tmp_path, ConfigError, "holds the submission of model to nano_books", suite="nano_news")


def test_recipe_of_another_suite(model: Path, tmp_path: Path) -> None:
    refused(
        model,
        tmp_path,
        ConfigError,
        "is for nano_books, the submission for nano_news",
        suite="nano_news",
        recipe=RECIPE,
    )


def test_recipe_that_the_card_contradicts(model: Path, tmp_path: Path) -> None:
    other = load_recipe(RECIPE, ["steps=7"])
    (model / "unlearning.json").write_text(json.dumps({"identity": {"recipe": other.method}}))
    refused(model, tmp_path, ConfigError, r"differ in steps\)", recipe=RECIPE)


def test_hub_models_come_from_a_pinned_snapshot(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--org--name"
    shutil.copytree(model, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    found = _locate("org/name", None)
    assert (found.repo, found.revision, found.folder.name) == ("org/name", "a" * 40, "a" * 40)
