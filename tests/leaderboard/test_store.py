from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.check.replay import agreement, replayed
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.events import append_event, read_standing
from robust_unlearn_bench.leaderboard.record.schema import Result
from robust_unlearn_bench.leaderboard.rescore import rescore
from robust_unlearn_bench.leaderboard.scoring.compare import compare
from robust_unlearn_bench.leaderboard.store import Store


@pytest.fixture
def store(tmp_path: Path, cast: dict[str, Entry]) -> Store:
    store = Store(tmp_path / "board")
    store.set_anchor(cast["target"], "target")
    store.set_anchor(cast["retrain"], "retrain")
    for name in ("adam", "hybrid"):
        store.add(cast[name], tier="recomputed", by="ci", reason="validated")
    return store


def test_what_is_added_comes_back_and_is_ranked(store: Store, cast: dict[str, Entry]) -> None:
    assert cast["adam"].record in [entry.record for entry in store.entries()]
    (board,) = store.boards()
    assert {row.record.display_name: row.rank for row in board.rows if row.rank} == {"NPO Hybrid": 1, "NPO Adam": 2}


def test_records_and_controls_never_change(store: Store, cast: dict[str, Entry]) -> None:
    with pytest.raises(RecordError, match="already on the board"):
        store.add(cast["adam"], tier="replayed", by="x", reason="x")
    with pytest.raises(RecordError, match="raise the suite version"):
        store.set_anchor(cast["adam"], "target")


def test_self_reported_rows_are_shown_and_not_ranked_by_default(store: Store, cast: dict[str, Entry]) -> None:
    store.add(cast["hider"], tier="self_reported", by="ci", reason="no items")
    rows = {row.record.display_name: row for row in store.boards()[0].rows}
    assert rows["Refusal adapter"].rank is None
    assert rows["Refusal adapter"].unranked == "self reported"
    assert {r.record.display_name: r.rank for r in store.boards("self_reported")[0].rows}["Refusal adapter"] == 3


def test_events_are_appended_and_folded(store: Store, cast: dict[str, Entry]) -> None:
    name = cast["adam"].id
    store.decide(name[5:11], by="maintainers", reason="the replay gave other numbers", state="quarantined")
    standing = store.standing(name)
    assert (standing.tier, standing.state, standing.reason) == (
        "recomputed",
        "quarantined",
        "the replay gave other numbers",
    )
    store.decide("NPO Adam", by="maintainers", reason="it was our mistake", state="active", tier="replayed")
    assert (store.standing(name).tier, store.standing(name).state) == ("replayed", "active")
    assert len((store.root / "events" / f"{name}.jsonl").read_text().splitlines()) == 3


def test_bad_events_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with pytest.raises(RecordError, match="sets a tier or a state"):
        append_event(path, by="x", reason="y")
    with pytest.raises(RecordError, match="reason"):
        append_event(path, by="x", reason="", state="active")
    path.write_text('{"at":"2026-01-01T00:00:00Z","by":"x","reason":"y","tier":"blessed"}\n')
    with pytest.raises(RecordError, match="tier"):
        read_standing(path)
    assert read_standing(tmp_path / "none").tier == "self_reported"


def test_names_that_fit_nobody_or_several(store: Store) -> None:
    with pytest.raises(RecordError, match="no record"):
        store.find("zzz")
    with pytest.raises(RecordError, match="2 records"):
        store.find("rub1-")


def test_rescore_writes_and_tells_what_changed(store: Store, cast: dict[str, Entry]) -> None:
    first = rescore(store.boards(), store.root / "scores")
    assert {change.model for change in first} == {"NPO Adam", "NPO Hybrid", "Target", "Retrain"}
    assert rescore(store.boards(), store.root / "scores") == []
    store.decide(cast["hybrid"].id, by="x", reason="y", state="withdrawn")
    changes = {change.model: change.rank for change in rescore(store.boards(), store.root / "scores")}
    assert changes == {"NPO Hybrid": (1, None), "NPO Adam": (2, 1)}
    path = store.root / "scores" / "nano_books-1.json"
    told = json.loads(path.read_text())
    told["boards"][0]["rows"][0]["score"]["value"] = 0.5
    path.write_text(json.dumps(told))
    (moved,) = rescore(store.boards(), store.root / "scores")
    assert moved.score[0] == 0.5


def test_compare_is_antisymmetric_and_paired(cast: dict[str, Entry]) -> None:
    a, b, anchors = cast["hybrid"], cast["adam"], (cast["target"], cast["retrain"])
    forth, back = compare(a, b, *anchors), compare(b, a, *anchors)
    assert forth.score.difference.value == -(back.score.difference.value or math.nan)
    assert forth.p == back.p
    assert forth.p is not None
    assert forth.p < 0.001
    cell = next(d for d in forth.leakage if d.what == "nano_books_verbmem rougeL_f1 relearn50")
    assert cell.difference.value == pytest.approx(cell.a - cell.b)
    assert cell.difference.high is not None
    assert cell.difference.high < 0
    with pytest.raises(RecordError, match="itself"):
        compare(a, a, *anchors)


def test_replay_agrees_within_repeatability(cast: dict[str, Entry]) -> None:
    same = agreement(cast["adam"], cast["adam"])
    assert len(same) == 15
    assert all(cell.within and cell.same == 1.0 for cell in same)
    moved = cast["adam"].record.results[0].model_copy(update={"value": 0.99})
    record = cast["adam"].record.model_copy(update={"results": [moved]})
    (cell,) = agreement(cast["adam"], Entry(record, {}))
    assert not cell.within
    assert cell.same is None
    with pytest.raises(RecordError, match="other weights"):
        agreement(cast["adam"], cast["hybrid"])
    for nonsense in (math.nan, -1.0, 2.0):
        with pytest.raises(RecordError, match="is not a fraction"):
            agreement(cast["adam"], cast["adam"], nonsense)


def again(entry: Entry, change: Callable[[Result], float | None], **model: object) -> Entry:
    """The record with other values, as somebody else might measure them."""
    results = [r.model_copy(update={"value": change(r)}) for r in entry.record.results]
    changed = {"results": results, "model": entry.record.model.model_copy(update=model)}
    return Entry(entry.record.model_copy(update=changed), {})


def test_a_rerun_confirms_a_record_that_it_repeats_in_full(cast: dict[str, Entry]) -> None:
    rng = random.Random(0)
    noisy = again(cast["adam"], lambda r: (r.value or 0.0) + rng.uniform(-0.01, 0.01))
    assert replayed(cast["adam"], noisy).objections == []
    assert replayed(cast["adam"], cast["adam"]).objections == []


def test_a_rerun_of_one_cell_confirms_nothing(cast: dict[str, Entry]) -> None:
    """One agreeing cell promoted the whole row."""
    part = again(cast["adam"], lambda r: r.value if (r.attack, r.task) == ("none", "nano_books_verbmem") else None)
    (objection,) = replayed(cast["adam"], part).objections
    assert objection.startswith("14 cells were not measured again")


def test_values_that_are_all_shaved_a_little_are_a_bias(cast: dict[str, Entry]) -> None:
    """Each of the cells agrees within the repeatability; all lean to the submitter's side."""
    utility = "nano_books_knowmem_retain"
    honest = again(cast["adam"], lambda r: (r.value or 0.0) + (-0.0199 if r.task == utility else 0.0199))
    found = replayed(cast["adam"], honest)
    assert all(cell.within for cell in found.cells)
    (objection,) = found.objections
    assert "15 cells favour the submitter" in objection
    assert found.bias == pytest.approx(0.5**15)
    other_side = again(cast["adam"], lambda r: (r.value or 0.0) + (0.0199 if r.task == utility else -0.0199))
    assert replayed(cast["adam"], other_side).objections == []


@pytest.mark.parametrize("fingerprint", [None, "f" * 64])
def test_a_rerun_is_of_the_same_weights_in_memory(cast: dict[str, Entry], fingerprint: str | None) -> None:
    other = again(cast["adam"], lambda r: r.value, fingerprint=fingerprint)
    (objection,) = replayed(cast["adam"], other).objections
    assert "fingerprints" in objection
