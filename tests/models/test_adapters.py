"""Loading an adapter gives the merged model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import MissingExtraError, ModelError
from robust_unlearn_bench.models.checkpoint import Checkpoint, is_adapter, load, save
from robust_unlearn_bench.models.snapshot import Snapshot

peft = pytest.importorskip("peft")


@pytest.fixture
def base(tiny_llama: Callable[..., Any], tiny_tokenizer: Any, tmp_path: Path) -> Path:
    return save(Checkpoint(tiny_llama(), tiny_tokenizer), tmp_path / "base", {})


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """A LoRA adapter on two kinds of layers, B drawn instead of zero."""
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(load(base).model, config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def by_hand(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """W + (alpha/r)·B·A from the files."""
    from safetensors.torch import load_file

    weights = {name: p.detach().clone() for name, p in load(base).model.named_parameters()}
    parts = load_file(adapter / "adapter_model.safetensors")
    for name, down in parts.items():
        if name.endswith("lora_A.weight"):
            up = parts[name.replace("lora_A", "lora_B")]
            weights[name.removeprefix("base_model.model.").replace("lora_A.", "")] += 6 / 2 * up @ down
    return weights


def test_an_adapter_is_merged_into_its_base(base: Path, adapter: Path) -> None:
    assert is_adapter(adapter)
    assert not is_adapter(base)
    model, tokenizer = load(adapter)
    expected, plain = by_hand(base, adapter), dict(load(base).model.named_parameters())
    got = dict(model.named_parameters())
    assert got.keys() == expected.keys()
    torch.testing.assert_close(got, expected)
    moved = {name for name in got if not torch.equal(got[name], plain[name])}
    assert moved == {name for name in got if "q_proj" in name or "down_proj" in name}
    assert not model.training
    assert tokenizer.get_vocab() == load(base).tokenizer.get_vocab()


def test_what_is_saved_is_a_whole_checkpoint(base: Path, adapter: Path, tmp_path: Path) -> None:
    out = save(load(adapter), tmp_path / "whole", {})
    assert not is_adapter(out)
    torch.testing.assert_close(dict(load(out).model.named_parameters()), by_hand(base, adapter))


def test_a_snapshot_that_reads_the_checkpoint_again_reads_the_adapter(adapter: Path) -> None:
    model = load(adapter).model
    snapshot = Snapshot(model, "reload")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        model.lm_head.weight.zero_()
    snapshot.restore(model)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_without_peft_one_sentence_says_what_to_install(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"adapter .* needs peft.*\[peft\]") as caught:
        load(adapter)
    assert "\n" not in str(caught.value)


def test_adapters_that_cannot_be_merged_are_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    peft.get_peft_model(load(base).model, prompt).save_pretrained(tmp_path / "prompt")
    with pytest.raises(ModelError, match=r"PROMPT_TUNING.*cannot be merged"):
        load(tmp_path / "prompt")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors"):
        load(adapter)


def test_rub_eval_measures_the_merged_model(adapter: Path, tmp_path: Path) -> None:
    from robust_unlearn_bench.harness.evaluate import evaluate

    whole = save(load(adapter), tmp_path / "whole", {})
    scores = [
        evaluate("hf", {"pretrained": str(model), "dtype": "float32"}, ["nano_wmdp_mcq"], limit=4, device="cpu")[
            "configs"
        ]["nano_wmdp_mcq"]["metadata"]["robust_unlearn_bench"]["model"]["fingerprint"]
        for model in (adapter, whole)
    ]
    assert scores[0] == scores[1]
