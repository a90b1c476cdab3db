"""Checkpoints that cannot be measured are refused in one sentence, by `load` and by `rub eval`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from robust_unlearn_bench.errors import ConfigError, ModelError, RubError
from robust_unlearn_bench.harness.evaluate import evaluate
from robust_unlearn_bench.models.checkpoint import load, require_complete

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    tiny_llama(window=128).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def drop(folder: Path, *names: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k not in names}, folder / "model.safetensors", {"format": "pt"})


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def configure(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return change


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a tensor is missing": (lambda folder: drop(folder, UP), rf"lacks 1 tensor \({UP}\), which would be filled"),
    "five are missing": (
        lambda folder: drop(
            folder,
            *[
                name
                for name in load_file(folder / "model.safetensors")
                if "layers.0.mlp" in name or (name.endswith("layernorm.weight") and "layers.1" in name)
            ],
        ),
        r"lacks 5 tensors \(.*, .*, .* and 2 more\)",
    ),
    "other shapes": (configure(intermediate_size=48), r"in another shape than config.json says, 6 tensors"),
    "truncated": (cut, r"cannot be loaded \(.*"),
    "unknown architecture": (configure(model_type="nosuch"), r"cannot be loaded \(.*nosuch"),
    "no tokenizer": (without_tokenizer, r"^tokenizer of model .* cannot be loaded \("),
    "empty": (empty, r"cannot be loaded \("),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "read", [load, lambda path: evaluate("hf", {"pretrained": str(path)}, ["nano_books_extraction"])]
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(folder: Path, damage: str, read: Any) -> None:
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(ModelError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("tied", [False, True])
def test_tied_weights_are_not_missing(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path, tied: bool) -> None:
    tiny_llama(tied=tied).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    assert ("lm_head.weight" in load_file(tmp_path / "model.safetensors")) is not tied
    load(tmp_path)
    require_complete(tmp_path)


def test_a_model_that_lm_eval_itself_loaded_is_refused_as_well(folder: Path) -> None:
    from types import SimpleNamespace

    from lm_eval.models.huggingface import HFLM

    from robust_unlearn_bench.harness.plan import plan_attack
    from robust_unlearn_bench.harness.session import AttackSession, Tag

    asked = SimpleNamespace(rub=Tag(plan_attack("none", None), "token_scores"), args=("the old", {"text": " baker"}))
    AttackSession(HFLM(pretrained=str(folder), device="cpu")).run([asked])
    drop(folder, UP)
    lm = HFLM(pretrained=str(folder), device="cpu")
    with pytest.raises(ModelError, match=rf"lacks 1 tensor \({UP}\)"):
        AttackSession(lm).run([asked])


def test_results_that_cannot_be_written_are_refused_before_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"results cannot be written to .*file/out \(Not a directory\): choose"):
        evaluate("hf", {"pretrained": str(tmp_path / "absent")}, ["nano_books"], out=tmp_path / "file" / "out")


def test_results_that_lm_eval_failed_to_write_are_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.loggers import EvaluationTracker

    monkeypatch.setattr(EvaluationTracker, "save_results_aggregated", lambda *args, **kwargs: None)
    with pytest.raises(RubError, match="lm-eval could not write the results"):
        evaluate("hf", {"pretrained": str(folder)}, ["nano_wmdp_mcq"], out=tmp_path / "out", limit=1, device="cpu")
