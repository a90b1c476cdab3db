from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.attacks import AttackContext
from robust_unlearn_bench.attacks.quantise.gptq import GPTQ
from robust_unlearn_bench.attacks.quantise.packed_export import export_packed
from robust_unlearn_bench.models.checkpoint import Checkpoint
from robust_unlearn_bench.models.decoder import decoder_linears

pytestmark = pytest.mark.slow
pytest.importorskip("gptqmodel", reason="gptqmodel is not installed (it needs its own environment)")


def test_output_error_is_within_three_percent(
    backend_model: Any, backend_context: AttackContext, output_error: Callable[..., float]
) -> None:
    errors = []
    for backend in ("builtin", "gptqmodel"):
        attacked = copy.deepcopy(backend_model)
        report = GPTQ(4, group_size=32, backend=backend).apply(attacked, backend_context)
        errors.append(output_error({layer.name: layer.weight for layer in decoder_linears(attacked)}))
        assert report["effective_bits"] <= 4
    assert errors[0] == pytest.approx(errors[1], rel=0.03)


def test_packed_checkpoint_is_small_and_lm_eval_loads_it(
    backend_model: Any, backend_context: AttackContext, tmp_path: Path
) -> None:
    out = tmp_path / "packed"
    attack = GPTQ(4, group_size=32)
    report = export_packed(Checkpoint(backend_model, backend_context.tokenizer), out, attack, backend_context)
    assert report["format"] == "gptq"
    assert report["calibration"]["corpus"] == "suite/retain"
    packed = json.loads((out / "config.json").read_text())["quantization_config"]
    assert (packed["bits"], packed["group_size"], packed["quant_method"]) == (4, 32, "gptq")
    assert not list(Path.cwd().glob("logs/gptq_log*"))

    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm-eval is not in this environment")
    from lm_eval.api.instance import Instance

    lm = huggingface.HFLM(pretrained=str(out), gptqmodel=True, device="cpu", batch_size=1)
    request = Instance("loglikelihood", {}, ("5 6 7", " 8 9"), 0)
    ((packed_score, _),) = lm.loglikelihood([request])
    plain = huggingface.HFLM(pretrained=backend_model, tokenizer=backend_context.tokenizer, batch_size=1)
    ((score, _),) = plain.loglikelihood([request])
    assert packed_score == pytest.approx(score, rel=0.2)
    assert packed_score != score
