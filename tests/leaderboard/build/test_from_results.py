from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robust_unlearn_bench.attacks.spec import digest_of
from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.build.from_results import record_from_results
from robust_unlearn_bench.leaderboard.record.entry import load

Run = Callable[..., Path]
VERBMEM, RETAIN = "tale_verbmem", "tale_knowmem_retain"


def test_values_counts_and_items(lm_eval_run: Run) -> None:
    built = record_from_results(lm_eval_run())
    record, items = built.entry.record, built.entry.items
    values = {(r.task, r.attack): (r.value, r.n) for r in record.results}
    assert values == {
        (VERBMEM, "none"): (0.75, 2),
        (VERBMEM, "gptq4"): (0.375, 2),
        (RETAIN, "none"): (1.0, 1),
        (RETAIN, "gptq4"): (0.5, 1),
    }
    assert items[RETAIN].scores["gptq4", "rougeL_f1"] == (0.5, None)
    assert [a.name for a in record.attacks] == ["none", "gptq4"]
    assert record.attacks[1].config[0]["bits"] == 4
    assert record.suite.tasks[VERBMEM].metrics["rougeL_f1"].aggregate == "mean"
    assert (record.environment.torch, record.environment.batch_size) == ("2.13.0", "8")
    assert (record.model.name, record.model.source) == ("a/model", "hub")


def test_a_folder_that_is_a_copy_of_a_hub_repository(lm_eval_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / ("c" * 40)
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    record = record_from_results(lm_eval_run(), model=folder, repo="org/name", revision="c" * 40).entry.record
    assert (record.model.name, record.model.source, record.model.revision) == ("org/name", "hub", "c" * 40)
    assert (record.display_name, list(record.model.weights)) == ("org/name", ["model.safetensors"])


def test_texts_stay_behind(lm_eval_run: Run, tmp_path: Path) -> None:
    record_from_results(lm_eval_run()).entry.save(tmp_path / "out")
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"SECRET" not in written
    assert b"chapter" not in written


def test_saved_entries_load_equal(lm_eval_run: Run, tmp_path: Path) -> None:
    entry = record_from_results(lm_eval_run(), name="row").entry
    assert load(entry.save(tmp_path / "out")) == entry
    assert load(tmp_path / "out") == entry


def test_runs_with_code_of_the_models_own_repository_are_refused(lm_eval_run: Run) -> None:
    folder = lm_eval_run()
    file = next(folder.glob("results_*.json"))
    results = json.loads(file.read_text())
    for config in results["configs"].values():
        config["metadata"]["robust_unlearn_bench"]["model"]["remote_code"] = True
    file.write_text(json.dumps(results))
    with pytest.raises(RecordError, match="trust_remote_code"):
        record_from_results(folder)


@pytest.mark.parametrize(
    ("folder", "name"), [("my model, v=2", "my-model-v-2"), (".hidden", "hidden"), ("ok-1.0", "ok-1.0")]
)
def test_a_folder_gives_the_nearest_plain_name(lm_eval_run: Run, tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    assert record_from_results(lm_eval_run(), model=tmp_path / folder, name="row").entry.record.model.name == name


def test_the_digest_is_that_of_the_configuration_in_the_record(lm_eval_run: Run) -> None:
    for attack in record_from_results(lm_eval_run()).entry.record.attacks:
        assert attack.digest == digest_of(attack.config)


def test_limited_runs_are_refused(lm_eval_run: Run) -> None:
    with pytest.raises(RecordError, match="--limit 1"):
        record_from_results(lm_eval_run(limit=1))


def test_a_task_on_part_of_its_documents_is_refused(lm_eval_run: Run) -> None:
    folder = lm_eval_run()
    file = next(folder.glob("results_*.json"))
    results = json.loads(file.read_text())
    results["n-samples"][VERBMEM]["effective"] = 1
    file.write_text(json.dumps(results))
    with pytest.raises(RecordError, match="1 of 2 documents"):
        record_from_results(folder)


def test_without_samples_values_remain_and_a_note_says_so(lm_eval_run: Run) -> None:
    built = record_from_results(lm_eval_run(samples=False))
    assert built.entry.items == {}
    assert any("--log_samples" in note for note in built.notes)
    assert built.entry.record.suite.tasks[VERBMEM].items is None


def test_results_of_two_models_are_refused(tmp_path: Path, lm_eval_run: Run) -> None:
    folder = lm_eval_run()
    lm_eval_run(fingerprint="e" * 64, date="2026-01-03T00-00-00")
    one_task = next(folder.glob("results_2026-01-03*"))
    results = json.loads(one_task.read_text())
    results["results"] = {VERBMEM: results["results"][VERBMEM]}
    one_task.write_text(json.dumps(results))
    with pytest.raises(RecordError, match="different models"):
        record_from_results(folder)


def test_runs_that_differ_in_their_seed_alone_share_a_name(lm_eval_run: Run) -> None:
    config = {"attack": "relearn", "version": 1, "k": 50}
    folder = lm_eval_run(
        attacks={
            "relearn50": {"config": [{**config, "seed": 0}]},
            "relearn50@0123456789ab": {"config": [{**config, "seed": 1}]},
            "relearn50@ba9876543210": {"config": [{**config, "seed": 0, "lr": 1.0}]},
        },
        tasks={
            VERBMEM: {
                "metric": "m",
                "role": "forget",
                "values": {"relearn50": [0.0], "relearn50@0123456789ab": [0.5], "relearn50@ba9876543210": [1.0]},
            }
        },
    )
    record = record_from_results(folder).entry.record
    assert [(a.name, a.seed) for a in record.attacks] == [
        ("relearn50", 0),
        ("relearn50", 1),
        ("relearn50@ba9876543210", 0),
    ]


def test_components_become_a_harmonic_mean(lm_eval_run: Run) -> None:
    column = [{"retain.prob": 0.5}, {"retain.prob": 1.0}, {"world.prob": 0.25}]
    folder = lm_eval_run(
        tasks={
            "tale_utility": {
                "metric": "model_utility",
                "role": "utility",
                "values": {"none": column},
                "value": lambda kept: 2 / (1 / 0.75 + 1 / 0.25),
            }
        }
    )
    entry = record_from_results(folder).entry
    assert entry.record.suite.tasks["tale_utility"].metrics["model_utility"].aggregate == "harmonic_mean"


def test_a_number_that_its_items_do_not_give_is_other(lm_eval_run: Run) -> None:
    folder = lm_eval_run(
        tasks={
            "tale_privleak": {
                "metric": "privleak",
                "role": "privacy",
                "values": {"none": [{"forget": 1.0}, {"holdout": 2.0}]},
                "value": lambda kept: -0.4,
            }
        }
    )
    record = record_from_results(folder).entry.record
    assert record.suite.tasks["tale_privleak"].metrics["privleak"].aggregate == "other"
    assert record.results[0].value == -0.4


def test_undefined_numbers_are_null(lm_eval_run: Run) -> None:
    folder = lm_eval_run(
        tasks={
            VERBMEM: {"metric": "m", "role": "forget", "values": {"none": [None]}, "value": lambda kept: float("nan")}
        }
    )
    result = record_from_results(folder).entry.record.results[0]
    assert result.value is None
    assert result.n == 0


def test_weights_are_hashed_and_the_recipe_read(lm_eval_run: Run, tmp_path: Path) -> None:
    model = tmp_path / "npo-hybrid"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "unlearning.json").write_text(json.dumps({"objective": "npo", "optimizer": "hybrid", "lr": 1e-5}))
    record = record_from_results(lm_eval_run(), model=model).entry.record
    assert record.model.weights["model.safetensors"].bytes == 7
    assert record.model.name == record.display_name == "npo-hybrid"
    assert (record.method.objective, record.method.optimizer) == ("npo", "hybrid")
    assert record.method.hyperparameters == {"lr": 1e-5}


def test_nothing_to_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no results_"):
        record_from_results(tmp_path)
    (tmp_path / "results_x.json").write_text("[]")
    with pytest.raises(RecordError, match="not a results file"):
        record_from_results(tmp_path)


def test_an_absent_model_folder_is_one_sentence(lm_eval_run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such model folder"):
        record_from_results(lm_eval_run(), model=tmp_path / "absent")


def test_cells_of_the_standard_set_that_are_missing_are_listed(lm_eval_run: Run) -> None:
    task = {"metric": "rougeL_f1", "role": "forget", "values": {"none": [0.5], "gptq4": [0.5]}}
    missing = record_from_results(lm_eval_run(suite="muse_books", tasks={"muse_books_verbmem": task})).missing
    assert "muse_books_verbmem relearn50" in missing
    assert "muse_books_knowmem_retain none" in missing
    assert "muse_books_verbmem gptq4" not in missing


def test_a_local_folder_has_no_revision(lm_eval_run: Run, tmp_path: Path) -> None:
    folder = lm_eval_run()
    file = next(folder.glob("results_*.json"))
    results = json.loads(file.read_text())
    results["config"]["model_revision"] = "main"
    file.write_text(json.dumps(results))
    assert record_from_results(folder).entry.record.model.revision == "main"
    assert record_from_results(folder, model=tmp_path).entry.record.model.revision is None
