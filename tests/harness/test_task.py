"""Real lm-eval tasks, loaded and run by lm-eval itself, on local data."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from robust_unlearn_bench.attacks import ATTACKS, AttackDefaults
from robust_unlearn_bench.errors import ConfigError, UnknownNameError

QUESTIONS = [
    {"question": f"where was the {colour} tower {n}", "choices": ["river", "baker", "iron", "the"], "answer": n % 4}
    for n, colour in enumerate(["old", "new", "blue", "iron", "old", "blue"])
]

BUILTIN = """
task: local_choice
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""

FOUR_LINES = """
group: local__half
task:
  - {task: local_choice, class: !function robust_unlearn_bench.harness.task.AttackedTask, attack: half}
"""


@dataclass(frozen=True, slots=True)
class Half(AttackDefaults):
    """Scales the output head so that answers change but stay finite."""

    name: ClassVar[str] = "half"
    applied: ClassVar[list[int]] = []

    sign: float = -1.0

    def apply(self, model: Any, context: Any) -> dict[str, Any]:
        self.applied.append(1)
        with torch.no_grad():
            model.get_output_embeddings().weight.mul_(self.sign)
        return {"sign": self.sign}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if "half" not in ATTACKS:
        ATTACKS.register("half")(Half)
    Half.applied.clear()
    data = tmp_path / "choice.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    (tmp_path / "local_choice.yaml").write_text(BUILTIN.replace("DATA", str(data)))
    (tmp_path / "half.yaml").write_text(FOUR_LINES)
    return tmp_path


def run(lm: Any, tasks: list[Any], folder: Path, **options: Any) -> dict[str, Any]:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return simple_evaluate(model=lm, tasks=tasks, task_manager=manager, **options)


def test_a_builtin_task_goes_under_an_attack_by_four_lines_of_yaml(tiny_lm, folder):
    lm = tiny_lm()
    results = run(lm, ["local_choice", "local__half"], folder)
    assert set(results["results"]) >= {"local_choice", "local_choice__half"}
    assert Half.applied == [1]
    with torch.no_grad():
        lm.model.get_output_embeddings().weight.mul_(-1)
    by_hand = run(lm, ["local_choice"], folder)["results"]["local_choice"]["acc,none"]
    assert results["results"]["local_choice__half"]["acc,none"] == by_hand


def test_a_suite_is_named_beside_the_attack(tiny_lm, folder):
    (folder / "half.yaml").write_text(FOUR_LINES.replace("attack: half", "attack: half, suite: nano_books"))
    results = run(tiny_lm(), ["local__half"], folder)
    ours = results["configs"]["local_choice__half"]["metadata"]["robust_unlearn_bench"]
    assert ours["suite"] == "nano_books"
    assert set(ours["data"]) == {"forget", "retain"}


def test_the_attack_and_its_diagnostics_are_in_the_results_file(tiny_lm, folder):
    results = run(tiny_lm(), ["local__half"], folder)
    ours = results["configs"]["local_choice__half"]["metadata"]["robust_unlearn_bench"]
    assert ours["attack"]["name"] == "half"
    assert ours["attack"]["config"] == [{"attack": "half", "version": 1, "sign": -1.0}]
    assert ours["attack"]["diagnostics"] == [{"sign": -1.0}]
    assert len(ours["model"]["fingerprint"]) == 64
    json.dumps(ours)


@pytest.mark.parametrize(
    "options",
    [{"limit": 2}, {"log_samples": True}, {"samples": {"local_choice__half": [1, 3]}}],
)
def test_lm_eval_s_options_keep_working(tiny_lm, folder, options):
    results = run(tiny_lm(), ["local__half"], folder, **options)
    wanted = 2 if options.keys() & {"limit", "samples"} else len(QUESTIONS)
    assert results["n-samples"]["local_choice__half"]["effective"] == wanted


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("options", [{"limit": 2}, {"samples": [1, 3]}])
def test_fewer_documents_than_processes_are_refused_on_every_rank(folder, rank, options):
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    (task,) = manager.load(["local__half"])["tasks"].values()
    with pytest.raises(ConfigError, match="local_choice__half has 2 documents for 3 processes, and each needs one"):
        task.build_all_requests(rank=rank, world_size=3, **options)
    task.build_all_requests(rank=min(rank, 1), world_size=2, **options)
    assert task.instances


def test_predict_only_logs_the_attacked_answers(tiny_lm, folder):
    samples = run(tiny_lm(), ["local__half"], folder, predict_only=True)["samples"]["local_choice__half"]
    assert [len(sample["resps"]) for sample in samples] == [4] * len(QUESTIONS)


def test_use_cache_is_not_poisoned(tiny_lm, folder, tmp_path):
    cache = str(tmp_path / "cache")
    lm = tiny_lm()
    run(lm, ["local__half"], folder, use_cache=cache)
    clean = run(lm, ["local_choice"], folder, use_cache=cache)["results"]["local_choice"]
    assert clean == run(tiny_lm(), ["local_choice"], folder)["results"]["local_choice"]


def test_request_cache_does_not_mix_attacks(tiny_lm, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("lm_eval.caching.cache.PATH", str(tmp_path))
    first = run(tiny_lm(), ["local_choice", "local__half"], folder, cache_requests=True)
    again = run(tiny_lm(), ["local_choice", "local__half"], folder, cache_requests=True)
    assert first["results"] == again["results"]
    assert Half.applied == [1, 1]


def test_documents_that_were_relearned_are_asked_but_not_scored():
    """Asked, so that documents are the same under every attack; the same for any model."""
    from robust_unlearn_bench.harness.task import LeafTask

    config = {"task": "nano_books_verbmem", "suite": "nano_books", "leaf": "verbmem", "attack": "relearn_split20"}
    task, again = LeafTask(dict(config)), LeafTask(dict(config))
    docs = list(task.eval_docs)
    assert docs == list(again.eval_docs)
    answers = [[{"text": doc["gt"], "truncated": 0}] * 2 for doc in docs]
    values = [task.process_results(doc, answer)["rougeL_f1"] for doc, answer in zip(docs, answers, strict=True)]
    assert values.count(1.0) == values.count(None) == 40
    assert values == [again.process_results(d, a)["rougeL_f1"] for d, a in zip(docs, answers, strict=True)]
    assert task.aggregation()["rougeL_f1"](values) == 1.0
    described = task.dump_config()["metadata"]["robust_unlearn_bench"]
    assert described["attack"]["documents"] == {"shown": 40, "held_out": 40, "untraced": 0}
    assert described["unscored_documents"] == 0


def test_unknown_attacks_and_suites_are_named(tiny_lm, folder):
    with pytest.raises(UnknownNameError, match="did you mean 'half'"):
        run(tiny_lm(), [{"task": "local_choice", **_own(folder), "attack": "halv"}], folder)
    with pytest.raises(UnknownNameError, match="unknown suite 'muse_bocks': did you mean 'muse_books'"):
        run(tiny_lm(), [{"task": "local_choice", **_own(folder), "suite": "muse_bocks"}], folder)
    with pytest.raises(ConfigError, match=r"must be harness\.task\.LeafTask"):
        run(tiny_lm(), [{"task": "local_choice", **_own(folder), "leaf": "verbmem"}], folder)


def _own(folder: Path) -> dict[str, Any]:
    from robust_unlearn_bench.harness.task import AttackedTask

    return {
        "class": AttackedTask,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "choice.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
    }


@pytest.mark.parametrize(("group", "kept"), [("nano_robust", 0), ("muse_books__gptq4", 0), ("leaderboard", 1)])
def test_only_our_groups_may_mix_directions_without_a_warning(caplog, group, kept):
    import robust_unlearn_bench.harness.task  # noqa: F401  # installs the filter

    message = f"Higher_is_better values for metric acc in group {group} are not consistent. Defaulting to None."
    logging.getLogger("lm_eval.evaluator_utils").warning(message)
    assert [record.getMessage() for record in caplog.records].count(message) == kept


def test_a_statistic_at_its_bound_has_no_standard_error():
    from robust_unlearn_bench.harness.task import Aggregation
    from robust_unlearn_bench.suites import SUITES

    (auc,) = (metric for metric in SUITES["nano_books"].leaf("privleak").metrics if metric.name == "auc_min40")
    values = [{side: float(i + shift)} for side, shift in (("forget", 0), ("holdout", 100)) for i in range(20)]
    aggregation = Aggregation(auc, [f"{side}-{i}" for side in ("forget", "holdout") for i in range(20)])
    assert aggregation(values) == 0.0
    assert aggregation.stderr(values) == "N/A"


@pytest.mark.parametrize(
    ("world_size", "options"), [(1, {}), (3, {}), (2, {"limit": 8}), (3, {"samples": [1, 5, 6, 9]})]
)
def test_errors_are_of_clusters_in_the_order_in_which_ranks_are_joined(world_size, options):
    from lm_eval.tasks import TaskManager

    from robust_unlearn_bench.paths import tasks_dir

    manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False)
    (task,) = manager.load(["nano_tofu_forget"])["tasks"].values()
    joined = []
    for rank in range(world_size):
        task.build_all_requests(rank=rank, world_size=world_size, **options)
        documents = dict.fromkeys(instance.doc_id for instance in task.instances)
        docs = {instance.doc_id: instance.doc for instance in task.instances}
        joined += [docs[i]["cluster"] for i in documents]
    assert task.aggregation()["prob"].clusters == joined
    assert len(set(joined)) < len(joined)
