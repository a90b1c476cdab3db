from __future__ import annotations

import json

import pytest

from robust_unlearn_bench.leaderboard.page.every_eval_ever import _slug, every_eval, every_eval_files
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.scorer import score


@pytest.fixture(scope="module")
def board(cast: dict[str, Entry]) -> Board:
    return score([cast["adam"]], cast["target"], cast["retrain"], replicates=200)


def test_required_fields_and_string_details(board: Board) -> None:
    for row in board.rows:
        told = every_eval(row, board)
        assert {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info",
                "eval_library", "evaluation_results"} == set(told)  # fmt: skip
        assert told["retrieved_timestamp"] == "1767225600"  # 2026-01-01T00:00:00Z
        assert all(isinstance(v, str) for v in told["model_info"]["additional_details"].values())
        for result in told["evaluation_results"]:
            config = result["metric_config"]
            assert isinstance(config["lower_is_better"], bool)
            assert ("score_type" not in config) or {"min_score", "max_score"} <= set(config)
            assert all(isinstance(v, str) for v in config.get("additional_details", {}).values())
            assert isinstance(result["score_details"]["score"], float)


def test_numbers_and_directions(board: Board, cast: dict[str, Entry]) -> None:
    row = next(r for r in board.rows if r.record.display_name == "NPO Adam")
    found = {r["evaluation_name"]: r for r in every_eval(row, board)["evaluation_results"]}
    whole = found["robust unlearning score"]
    assert whole["score_details"]["score"] == row.score.value
    assert whole["score_details"]["uncertainty"]["confidence_interval"]["lower"] == row.score.low
    assert found["nano_books_verbmem under gptq4: rougeL_f1"]["metric_config"]["lower_is_better"] is True
    assert found["nano_books_knowmem_retain under none: rougeL_f1"]["metric_config"]["lower_is_better"] is False
    assert found["forgetting by what it says"]["score_details"]["score"] == row.says.value
    assert found["worst case"]["score_details"]["score"] == row.worst_case.value
    assert "forgetting by what it holds" not in found  # undefined numbers are left out
    assert len(found) == 5 + len(cast["adam"].record.results)


def test_likelihoods_carry_their_role_and_the_family_its_number(families: Board) -> None:
    row = next(r for r in families.rows if r.record.display_name == "Silent")
    found = {r["evaluation_name"]: r for r in every_eval(row, families)["evaluation_results"]}
    assert found["forgetting by what it holds"]["score_details"]["score"] == row.holds.value
    config = found["nano_books_answer_prob under none: prob"]["metric_config"]
    assert config["lower_is_better"] is True
    assert config["additional_details"]["role"] == "holds"


def test_one_file_a_submission(board: Board) -> None:
    files = every_eval_files(board)
    assert len(files) == len(board.rows)
    for path, raw in files.items():
        assert path.startswith("data/nano_books/local/")
        assert json.loads(raw)["evaluation_id"].split("/")[1] in path


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("org/model", "org/model"),
        ("model", "local/model"),
        ("../../etc", "local/etc"),
        ("/", "local/unnamed"),
        ("a b/<c>", "a_b/_c_"),
        ("漢" * 80, "local/" + "_" * 80),
        ("x" * 300 + "/" + "y" * 300, "x" * 96 + "/" + "y" * 96),
    ],
)
def test_names_become_plain_paths(name: str, slug: str) -> None:
    assert _slug(name) == slug
