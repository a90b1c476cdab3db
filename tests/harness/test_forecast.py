"""`rub plan`: from config.json alone, what fits where, and one sentence where nothing does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench.cli import app
from robust_unlearn_bench.errors import ModelError
from robust_unlearn_bench.harness import evaluate as evaluation
from robust_unlearn_bench.harness.forecast import forecast
from robust_unlearn_bench.suites import SUITES
from robust_unlearn_bench.training.footprint import Rates
from robust_unlearn_bench.training.placement import Free

RATES = Rates(6e13, 1e12)


@pytest.fixture
def seven_billion(tmp_path: Path) -> str:
    """A folder with the config.json of Llama-2-7B and nothing else."""
    shapes = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "max_position_embeddings": 4096,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
        "torch_dtype": "bfloat16",
    }
    (tmp_path / "config.json").write_text(json.dumps(shapes))
    return str(tmp_path)


def planned(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments])


def test_a_24_gb_card_is_enough_for_the_standard_suite_on_7b(seven_billion: str) -> None:
    found = forecast(seven_billion, ["muse_books_robust"], Free(int(24e9), int(160e9)), RATES)
    assert found is not None
    found.refuse()
    lines = {line.name: line for line in found.lines}
    assert set(lines) < {*SUITES["muse_books"].attacks, "evaluation"} - {"none"}, "one line a trajectory"
    assert len(lines) == 10
    needs = lines["relearn_const100_x5"].needs
    assert needs is not None
    assert needs.device <= 22e9
    assert needs.host <= 110e9
    assert found.snapshot == 2 * 6_738_415_616
    work = lines["relearn_const100_x5"].work
    assert work is not None
    assert (work.forwards, work.backwards) == (100, 100)
    assert found.summary.startswith("plan: 6,738M parameters, at most 21.")
    assert "for the part that can be estimated" in found.summary
    assert found.notes == ["documents of muse_books are not here to be counted: give --data-dir (or RUB_DATA)"]


def test_free_memory_counts_not_the_size_of_the_card(seven_billion: str) -> None:
    """Of 24 GB, 14 are free: another process has the rest."""
    found = forecast(seven_billion, ["muse_books_robust"], Free(int(14e9), int(160e9), "cuda:0"), RATES)
    assert found is not None
    with pytest.raises(ModelError, match=r"^.* needs .* \(9 more parts of this plan do not fit either\)$"):
        found.refuse()
    refused = {line.name for line in found.lines if line.refusal}
    assert "gptq4" in refused
    assert any(name.startswith("relearn") for name in refused), refused


def test_the_snapshot_takes_its_share_of_cpu_memory(seven_billion: str) -> None:
    """107.8 GB for the states fit into 93 % of 120 GB, but not beside 13.5 GB of original weights."""
    free = Free(int(24e9), int(120e9))
    kept, on_disk = (
        forecast(seven_billion, ["muse_books"], free, RATES, attacks=["relearn_const100_x5"], snapshot=where)
        for where in ("cpu", "disk")
    )
    assert kept is not None
    assert on_disk is not None
    with pytest.raises(
        ModelError, match=r"relearn_const100_x5 needs .*; with --snapshot disk \(RUB_SNAPSHOT=disk\) it fits$"
    ):
        kept.refuse()
    on_disk.refuse()
    assert on_disk.snapshot == 0


def test_stations_of_one_trajectory_are_one_run(seven_billion: str) -> None:
    found = forecast(seven_billion, ["muse_books_curve"], Free(int(80e9), int(160e9)), RATES)
    assert found is not None
    assert [line.name for line in found.lines] == ["relearn_const100", "evaluation"]


def test_documents_of_embedded_suites_are_counted(seven_billion: str) -> None:
    """A forward pass per batch of scoring, one per prompt batch and new token of generation, for every attack."""
    one, two, few = (
        forecast(seven_billion, ["nano_books"], Free(int(80e9), int(160e9)), RATES, attacks=attacks, limit=limit)
        for attacks, limit in ((["none"], None), (["none", "rtn4"], None), (["none"], 2))
    )
    works = []
    for found in (one, two, few):
        assert found is not None
        work = found.lines[-1].work
        assert work is not None
        works.append(work)
    assert works[1].operations == pytest.approx(2 * works[0].operations)
    assert 0 < works[2].operations < works[0].operations
    assert one is not None
    assert "for the part" not in one.summary


def test_lm_evals_own_tasks_are_named_as_not_counted(seven_billion: str) -> None:
    found = forecast(seven_billion, ["piqa"], Free(int(80e9), int(160e9)), RATES)
    assert found is not None
    assert found.lines[-1].work is None
    assert found.notes == ["lm-eval's own tasks are not counted: piqa"]


def test_the_command_prints_a_table_and_exits_with_0(seven_billion: str) -> None:
    done = planned(
        "muse_books_robust",
        "--model",
        seven_billion,
        "--device-memory",
        "24GB",
        "--host-memory",
        "160GB",
        "--rate",
        "150",
    )
    assert done.exit_code == 0
    row = next(line for line in done.stdout.splitlines() if line.startswith("relearn_const100_x5 "))
    assert "masters in CPU memory" in row
    assert "107.8 GB" in row
    assert "at 60 TFLOP/s" in done.stdout


def test_json(seven_billion: str) -> None:
    done = planned(
        "muse_books_robust", "--model", seven_billion, "--device-memory", "24GB", "--host-memory", "160GB", "--json"
    )
    told = {line["work"]: line for line in json.loads(done.stdout)["plan"]}
    assert told["relearn_const100_x5"]["device"] <= 22e9
    assert told["relearn_const100_x5"]["refusal"] is None


def test_what_fits_nowhere_is_one_sentence(seven_billion: str) -> None:
    done = planned("muse_books_robust", "--model", seven_billion, "--device-memory", "12GB", "--host-memory", "160GB")
    assert isinstance(done.exception, ModelError)
    assert "\n" not in str(done.exception)
    assert "does not fit" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device-memory", "plenty"), "--device-memory is 'plenty': give an amount of memory such as 24GB"),
        (("--rate", "-1"), "--rate is -1.0: give the TFLOP/s"),
        (("--attacks", "gqtq4"), "unknown attack 'gqtq4'"),
    ],
)
def test_bad_input(seven_billion: str, arguments: tuple[str, ...], message: str) -> None:
    done = planned("muse_books", "--model", seven_billion, *arguments)
    assert message in str(done.exception)


def test_a_model_that_is_nowhere_and_one_that_is_quantised(tmp_path: Path, seven_billion: str) -> None:
    assert "cannot be loaded" in str(planned("muse_books", "--model", str(tmp_path / "none")).exception)
    config = Path(seven_billion) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"quant_method": "gptq"}}))
    assert "plan with its base checkpoint" in str(planned("muse_books", "--model", seven_billion).exception)


def test_an_evaluation_is_refused_before_anything_is_loaded(
    tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_llama(window=512).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    monkeypatch.setattr("lm_eval.evaluator.simple_evaluate", lambda **arguments: {"results": {}})
    said: list[str] = []
    arguments: dict[str, Any] = {"attacks": ["relearn5"], "device": "cpu", "announce": said.append}
    evaluation.evaluate("hf", {"pretrained": str(tmp_path)}, ["nano_books_verbmem"], **arguments)
    assert [line.startswith("plan: 0M parameters") for line in said] == [True]
    monkeypatch.setenv("RUB_DEVICE_MEMORY", "100KB")
    with pytest.raises(ModelError, match="relearn5 needs"):
        evaluation.evaluate("hf", {"pretrained": str(tmp_path)}, ["nano_books_verbmem"], **arguments)
    assert len(said) == 1
