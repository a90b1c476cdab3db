from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from robust_unlearn_bench.attacks.quantise.grid import distinct_values
from robust_unlearn_bench.errors import AttackError, ConfigError, ModelError
from robust_unlearn_bench.harness.attacked_checkpoint import CARD, attack_checkpoint
from robust_unlearn_bench.models.decoder import decoder_linears
from robust_unlearn_bench.models.weights import fingerprint


@pytest.fixture
def saved(tiny_llama, tiny_tokenizer, tmp_path):
    folder = tmp_path / "model"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


def test_the_checkpoint_holds_what_the_attack_in_memory_gives(saved, tiny_tokenizer, tmp_path):
    out = attack_checkpoint("rtn4(group_size=16)", str(saved), tmp_path / "attacked", dtype="float32")
    from robust_unlearn_bench.attacks import AttackContext, parse
    from robust_unlearn_bench.suites.general import general_corpus

    model = AutoModelForCausalLM.from_pretrained(saved).eval()
    before = fingerprint(model)
    context = AttackContext(tiny_tokenizer, 64, None, general_corpus())
    for step in parse("rtn4(group_size=16)").steps:
        step.apply(model, context)
    loaded = AutoModelForCausalLM.from_pretrained(out)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    card = json.loads((out / CARD).read_text())
    assert card["attack"] == "rtn4@" + card["digest"]
    assert card["model"]["fingerprint"] == before
    assert card["attacked_fingerprint"] == fingerprint(model)


def test_a_folder_with_something_in_it_is_not_overwritten(saved, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(ConfigError, match="is not empty: choose another --out"):
        attack_checkpoint("rtn4", str(saved), tmp_path / "full")


def test_nan_weights_leave_no_folder_behind(saved, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(saved)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    model.save_pretrained(saved)
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds NaN"):
        attack_checkpoint("rtn4", str(saved), tmp_path / "attacked")
    assert not (tmp_path / "attacked").exists()


def test_no_memory_is_one_sentence_and_leaves_no_folder_behind(saved, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")

    monkeypatch.setattr("robust_unlearn_bench.attacks.quantise.rtn.RTN.apply", fail)
    with pytest.raises(AttackError, match="attack rtn4 ran out of memory: load the weights in bf16"):
        attack_checkpoint("rtn4", str(saved), tmp_path / "attacked")
    assert not (tmp_path / "attacked").exists()


def test_an_attacked_adapter_is_the_attacked_merged_model(saved, tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM", init_lora_weights=False
    )
    adapter = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(saved), config)
    adapter.save_pretrained(tmp_path / "adapter")
    whole = adapter.merge_and_unload()
    whole.save_pretrained(tmp_path / "whole")
    AutoTokenizer.from_pretrained(saved).save_pretrained(tmp_path / "whole")
    first, second = (
        AutoModelForCausalLM.from_pretrained(
            attack_checkpoint("gptq4(group_size=16)", str(tmp_path / name), tmp_path / f"attacked_{name}")
        )
        for name in ("adapter", "whole")
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for layer in decoder_linears(first):
        assert distinct_values(layer.weight, 16) <= 16
