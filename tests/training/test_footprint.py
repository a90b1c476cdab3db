"""The plan's bytes against the live tensors of real steps, and against arithmetic on Llama-2-7B."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fixtures.live_memory import LiveMemory

from robust_unlearn_bench.optimizers import OPTIMIZERS
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.finetune import FinetuneConfig, Finetuning
from robust_unlearn_bench.training.footprint import (
    Rates,
    Run,
    Sizes,
    Work,
    generating,
    generation,
    scoring,
    seconds,
    sizes,
    training,
    training_step,
)
from robust_unlearn_bench.training.placement import Free, Placement, fit

ADAM = OPTIMIZERS["adam"].facts


def llama(**changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    shapes = {
        "vocab_size": 2048,
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
    }
    return LlamaForCausalLM(LlamaConfig(**(shapes | changes)))


def measured(live: LiveMemory, model: Any, placement: Placement, rows: int, width: int, precision: Any) -> int:
    """Peak of the live tensors on the device in two steps."""
    ids = torch.randint(3, model.config.vocab_size, (rows, width)).tolist()
    sequences = [Encoded(tuple(row), 1, i, 0) for i, row in enumerate(ids)]
    config = FinetuneConfig(steps=2, batch_size=rows, precision=precision)
    with Finetuning(model, sequences, config, placement) as run:
        for p in model.parameters():
            live.note(p.detach())
        with live:
            for _ in run:
                pass
    return live.peak


@pytest.mark.parametrize("shapes", [{}, {"hidden_size": 512, "num_key_value_heads": 2, "vocab_size": 512}])
@pytest.mark.parametrize("precision", ["bf16_autocast", "fp32"])
@pytest.mark.parametrize(("recompute", "micro_batch"), [(False, None), (True, None), (True, 1)])
def test_device_bytes_with_masters_in_cpu_memory(
    live_memory: LiveMemory, recompute: bool, micro_batch: int | None, precision: Any, shapes: dict[str, int]
) -> None:
    """Two rows of 256 tokens, where activations are as large as the weights."""
    model = llama(**shapes).bfloat16()
    run = Run(precision, ADAM, 2, 256)
    plan = training(sizes(model), run, on_host=True, recompute=recompute, micro_batch=micro_batch)
    found = measured(live_memory, model, Placement("host", recompute, micro_batch), 2, 256, precision)
    assert plan.device == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize(("recompute", "micro_batch"), [(False, None), (True, None), (True, 1)])
def test_bytes_with_everything_on_the_device(recompute: bool, micro_batch: int | None) -> None:
    model, live = llama().bfloat16(), LiveMemory()
    live.on_device = True
    plan = training(
        sizes(model), Run("bf16_autocast", ADAM, 2, 256), on_host=False, recompute=recompute, micro_batch=micro_batch
    )
    found = measured(live, model, Placement("device", recompute, micro_batch), 2, 256, "bf16_autocast")
    assert plan.device == pytest.approx(found, rel=0.1)
    assert plan.host == 0


@pytest.mark.slow
def test_300m_parameters_take_less_than_four_and_a_half_bytes_each(live_memory: LiveMemory) -> None:
    shapes = {"vocab_size": 16384, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 21}
    model = llama(**shapes, num_attention_heads=16, num_key_value_heads=16).bfloat16()
    s = sizes(model)
    assert 290e6 < s.parameters < 320e6
    plan = training(s, Run("bf16_autocast", ADAM, 2, 128), on_host=True, recompute=True, micro_batch=1)
    found = measured(live_memory, model, Placement("host", True, 1), 2, 128, "bf16_autocast")
    print(
        f"{s.parameters / 1e6:.0f}M parameters: {found / s.parameters:.2f} bytes each, plan {plan.device / found:.3f}"
    )
    assert found < 4.5 * s.parameters
    assert plan.device == pytest.approx(found, rel=0.1)


def seven_billion() -> Sizes:
    """Llama-2-7B on the meta device."""
    shapes = {"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    with torch.device("meta"):
        model = llama(**shapes, num_attention_heads=32, num_key_value_heads=32)
    return sizes(model.bfloat16())


def test_sizes_of_llama_2_7b() -> None:
    s = seven_billion()
    assert s.parameters == s.trained == 6_738_415_616
    assert s.stored == 2 * s.parameters
    assert s.block == 4 * 4096**2 + 3 * 4096 * 11008
    assert s.products == 32 * s.block + 32000 * 4096
    assert s.parameters - s.narrow == 32000 * 4096 + 65 * 4096, "embedding and norms stay in fp32"
    assert s.cached == 2 * 4096 * 32
    assert s.with_adapter(16).trained == 39_976_960, "the number that peft reports for all-linear layers"


def test_relearning_a_7b_model_fits_one_24_gb_card() -> None:
    """Bytes: images 2·6.61e9 + fp32 embedding 0.52e9 = 13.7 GB, and 16 for each parameter in CPU memory."""
    run = Run("bf16_autocast", ADAM, 4, 2048)
    chosen = fit("relearn100", seven_billion(), run, Free(int(24e9), int(128e9)))
    assert (chosen.masters, chosen.recompute) == ("host", True)
    assert chosen.device_bytes is not None
    assert chosen.host_bytes == 16 * 6_738_415_616
    assert 14e9 < chosen.device_bytes <= 22e9
    assert chosen.host_bytes <= 110e9


def test_an_80_gb_card_holds_1b_parameters_whole_and_lora_of_7b() -> None:
    adapter = seven_billion().with_adapter(16)
    chosen = fit("lora_relearn100", adapter, Run("bf16_autocast", ADAM, 4, 2048), Free(int(80e9), int(128e9)))
    assert (chosen.masters, chosen.micro_batch) == ("device", None)


def test_operations_of_a_step() -> None:
    """6 operations per weight and token, 12·T·h of them in attention, halved by causality; 8 where recomputed."""
    s = seven_billion()
    run = Run("bf16_autocast", ADAM, 4, 2048)
    tokens = 4 * 2048
    by_hand = 6 * s.products * tokens + 6 * 2048 * 4096 * 32 * tokens
    step = training_step(s, run, on_host=False, recompute=False)
    assert step.operations == pytest.approx(by_hand)
    assert (step.forwards, step.backwards, step.moved) == (1, 1, 0)
    again = training_step(s, run, on_host=True, recompute=True)
    assert again.operations == pytest.approx(by_hand * 8 / 6)
    assert again.moved == pytest.approx(2 * (2 * s.narrow + 4 * (s.trained - s.narrow)))


def test_zeroth_order_steps_keep_no_activations() -> None:
    s = seven_billion()
    first, zeroth = (
        training(
            s, Run("bf16_autocast", OPTIMIZERS[name].facts, 4, 2048), on_host=True, recompute=False, micro_batch=None
        )
        for name in ("adam", "ada_zo")
    )
    assert zeroth.device < 22e9 < first.device


def test_seconds_add_what_cannot_overlap() -> None:
    work = Work(operations=100, read=30, moved=4, updated=6)
    assert seconds(work, Rates(10, 10, 2, 3)) == 10 + 2 + 2
    assert seconds(work.times(2).plus(Work(read=1000)), Rates(10, 10, 2, 3)) == 106 + 4 + 4


def test_a_generated_token_reads_the_weights_once() -> None:
    s = seven_billion()
    work = generation(s, rows=32, prompt=64, new=128, batch=16)
    assert work.read == pytest.approx(2 * 128 * s.stored + 32 * 128 * (64 + 64) * s.cached * 2)
    assert generating(s, 16 * 192).device - s.stored == pytest.approx(16 * 192 * 2 * (s.cached + 2 * 4096 + 3 * 11008))
    assert scoring(s, 8192, 2048).device - s.stored == 2 * 8192 * 32000 + 16 * 2048 * 32000
