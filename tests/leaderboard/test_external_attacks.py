"""An attack that somebody found on a row: its record, its checks, and what it does to the rank."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulated_records import World

from robust_unlearn_bench.attacks import AttackSpec, parse
from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.build.attack_figures import attack_figures, found_attack
from robust_unlearn_bench.leaderboard.check.attack_check import check_attack_for
from robust_unlearn_bench.leaderboard.record.attack_entry import AttackEntry, load_attack
from robust_unlearn_bench.leaderboard.record.attack_record import parse_attack, seal_attack
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.scoring.board_table import board_rows
from robust_unlearn_bench.leaderboard.store import Store

FOUND = "relearn_const20"
STANDARD = ("none", "gptq4", "relearn10", "relearn20", "relearn50")


def levels(attacks: tuple[str, ...], forget: list[float], keep: float = 0.9) -> dict[str, dict[str, float]]:
    return {
        a: {"verbmem": x, "knowmem_forget": x, "knowmem_retain": keep} for a, x in zip(attacks, forget, strict=True)
    }


def with_config(entry: Entry) -> Entry:
    """Give the found attack its whole configuration and digest, as the harness writes them."""
    spec = parse(FOUND)
    fields = {name: getattr(entry.record, name) for name in type(entry.record).model_fields if name != "submission_id"}
    fields["attacks"] = [
        attack if attack.name == "none" else attack.model_copy(update={"config": spec.config, "digest": spec.digest})
        for attack in entry.record.attacks
    ]
    return Entry(seal(**fields), entry.items)


def attack_on(world: World, name: str, elicited: float, **changes: Any) -> AttackEntry:
    both = ("none", FOUND)
    model = with_config(world.entry(name, levels(both, [0.15, elicited])))
    target = with_config(world.entry("Target", levels(both, [0.95, 0.95]), kind="target"))
    retrain = with_config(world.entry("Retrain", levels(both, [0.15, 0.2]), kind="retrain"))
    figures = attack_figures(model, target, retrain)
    attack = found_attack(model)
    fields = {
        "found_at": "2026-02-01T00:00:00Z",
        "on": {"name": "good", "fingerprint": model.record.model.fingerprint, "suite": "nano_books", "suite_version": "1"},
        "attack": attack,
        "spec": AttackSpec.of_config(attack.config).in_full,
        "leaked": figures.leaked,
        "utility": figures.utility,
        "measured": {"model": model.id, "target": target.id, "retrain": retrain.id},
        **changes,
    }  # fmt: skip
    return AttackEntry(seal_attack(**fields), model, target, retrain)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def store(world: World, tmp_path: Path) -> Store:
    store = Store(tmp_path / "board")
    control = {"target": [0.95] * 5, "retrain": [0.15, 0.15, 0.2, 0.2, 0.25]}
    for role, forget in control.items():
        store.set_anchor(world.entry(role.title(), levels(STANDARD, forget), kind=role), role)
    for name, forget in (("Good", [0.15, 0.15, 0.22, 0.25, 0.3]), ("Fair", [0.2, 0.2, 0.35, 0.45, 0.6])):
        entry = world.entry(name, levels(STANDARD, forget), objective="npo", optimizer="adam")
        store.add(entry, tier="recomputed", by="m", reason="r")
    return store


def rows(store: Store) -> dict[str, Any]:
    return {row.record.display_name: row for row in store.boards()[0].rows}


def test_a_record_survives_writing_and_reading(world: World, tmp_path: Path) -> None:
    entry = attack_on(world, "Good", 0.8)
    again = load_attack(entry.save(tmp_path / "found"))
    assert again.record == entry.record
    assert again.parts["retrain"].items == entry.retrain.items
    assert parse(again.record.spec) == parse(FOUND)
    headline = again.record.headline
    assert headline is not None
    assert headline.leakage.value == pytest.approx((0.8 - 0.2) / (0.95 - 0.2), abs=0.15)
    assert headline.leakage.low < headline.leakage.value < headline.leakage.high


def test_an_edited_record_is_refused(world: World, tmp_path: Path) -> None:
    file = attack_on(world, "Good", 0.8).save(tmp_path / "found")
    fields = json.loads(file.read_text())
    fields["leaked"][0]["model"] = 0.99
    with pytest.raises(RecordError, match=r"attack_id = .* but the content hashes to"):
        parse_attack(json.dumps(fields).encode(), "attack")
    other = attack_on(world, "Good", 0.4)
    other.model.save(tmp_path / "found" / "model")
    with pytest.raises(RecordError, match="keep its files together"):
        load_attack(file)


def test_a_verified_attack_lowers_the_score_and_the_rank(store: Store, world: World) -> None:
    before = rows(store)
    assert (before["Good"].rank, before["Fair"].rank) == (1, 2)
    assert before["Good"].external is None
    assert "external" not in board_rows(store.boards()[0])[0]
    entry = attack_on(world, "Good", 0.9)
    assert [str(f) for f in check_attack_for(store, entry) if f.level == "error"] == []
    store.add_attack(entry, by="m", reason="validated")

    reported = rows(store)["Good"]
    assert (reported.rank, reported.score, reported.external) == (1, before["Good"].score, None)
    assert reported.reported.value < before["Fair"].score.value

    store.judge_attack(entry, by="m", reason="again", tier="replayed")
    after = rows(store)
    assert after["Good"].score == before["Good"].score
    assert after["Good"].external == after["Good"].reported == after["Good"].ranking
    assert (after["Fair"].rank, after["Good"].rank) == (1, 2)
    assert list(after)[:1] != ["Good"]
    line = next(line for line in board_rows(store.boards()[0]) if line["model"] == "Good")
    assert float(line["external"]) < float(line["score\n95 % interval"].split()[0])

    store.judge_attack(entry, by="m", reason="withdrawn", state="withdrawn")
    assert rows(store)["Good"].external is None


def test_an_attack_that_finds_nothing_new_lowers_nothing(store: Store, world: World) -> None:
    before = rows(store)["Good"]
    entry = attack_on(world, "Good", 0.2)
    store.add_attack(entry, by="m", reason="validated")
    store.judge_attack(entry, by="m", reason="again", tier="replayed")
    after = rows(store)["Good"]
    assert after.ranking.value == pytest.approx(before.score.value, abs=0.05)
    assert after.ranking.value <= before.score.value
    assert after.rank == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: {"spec": "relearn_const(k=21,lr=1e-05)"}, "spec: not the attack of the configuration"),
        (lambda e: {"leaked": [one.model_copy(update={"model": 0.99}) for one in e.leaked]}, "not what the items give"),
        (lambda e: {"leaked": e.leaked[:1]}, "not what the items give"),
        (lambda e: {"utility": e.utility.model_copy(update={"value": 0.3})}, "utility: not what the items give"),
        (lambda e: {"on": e.on.model_copy(update={"fingerprint": "f" * 64})}, "not the weights of model/record.json"),
    ],
)
def test_claims_that_the_items_do_not_bear_out(
    store: Store, world: World, change: Callable[[Any], dict[str, Any]], message: str
) -> None:
    honest = attack_on(world, "Good", 0.8)
    entry = attack_on(world, "Good", 0.8, **change(honest.record))
    errors = [str(finding) for finding in check_attack_for(store, entry) if finding.level == "error"]
    assert any(message in error for error in errors), errors


def test_an_attack_on_no_row_or_with_other_controls(store: Store, world: World) -> None:
    nowhere = attack_on(world, "Nobody", 0.8)
    assert any("no row of this board" in str(f) for f in check_attack_for(store, nowhere))
    honest = attack_on(world, "Good", 0.8)
    weak = with_config(world.entry("Other", levels(("none", FOUND), [0.15, 0.0]), kind="retrain"))
    swapped = replace(honest, retrain=weak)
    assert any("not the retrain model of this board" in str(f) for f in check_attack_for(store, swapped))


def test_the_same_attack_twice(store: Store, world: World) -> None:
    entry = attack_on(world, "Good", 0.8)
    store.add_attack(entry, by="m", reason="r")
    with pytest.raises(RecordError, match="already on the board"):
        store.add_attack(entry, by="m", reason="r")
    with pytest.raises(RecordError, match="not on this board"):
        store.judge_attack(attack_on(world, "Fair", 0.8), by="m", reason="r", tier="replayed")
