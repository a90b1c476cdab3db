from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.quantise.gptq import GPTQ
from robust_unlearn_bench.attacks.quantise.packed_export import export_packed, require_gptq
from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.harness.attacked_checkpoint import attack_checkpoint
from robust_unlearn_bench.models.checkpoint import Checkpoint


@pytest.mark.parametrize("group_size", [24, 32])
def test_group_sizes_that_leave_a_rest_are_refused(
    tiny: Callable[..., Any], context: AttackContext, tmp_path: Path, group_size: int
) -> None:
    model = tiny("llama")  # rows of 32 and of 48
    with pytest.raises(ConfigError, match=r"does not divide the .* columns of .*: choose group_size=16 or -1"):
        export_packed(Checkpoint(model, None), tmp_path / "out", GPTQ(group_size=group_size), context)
    with pytest.raises(ConfigError, match="does not divide"):
        GPTQ(group_size=group_size, backend="llmcompressor").apply(model, context)
    assert not (tmp_path / "out").exists()


def test_only_attacks_that_end_with_gptq_can_be_packed(tmp_path: Path) -> None:
    assert require_gptq(parse("relearn50+gptq3").steps[-1]) == GPTQ(3)
    with pytest.raises(ConfigError, match="attack rtn cannot be packed"):
        require_gptq(parse("gptq4+rtn4").steps[-1])
    with pytest.raises(ConfigError, match="attack relearn cannot be packed"):  # before anything is loaded
        attack_checkpoint("relearn50", "no/such/model", tmp_path / "out", packed=True)


def test_bits_that_the_backend_does_not_have_are_refused(tmp_path: Path) -> None:
    message = "gptq bits=5 cannot be packed by gptqmodel: choose one of 2, 3, 4, 8, or backend=builtin"
    with pytest.raises(ConfigError, match=message):
        parse("gptq5(backend=gptqmodel)")
    with pytest.raises(ConfigError, match=message):  # before anything is loaded
        attack_checkpoint("gptq5", "no/such/model", tmp_path / "out", packed=True)
    assert parse("gptq5").name == "gptq5"
    assert parse("gptq5(backend=llmcompressor)").steps[0].bits == 5
