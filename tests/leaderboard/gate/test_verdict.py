"""Every verdict, every exit code, every output of the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from scipy import stats as scipy_stats
from simulated_records import World

from robust_unlearn_bench.errors import ConfigError, RecordError
from robust_unlearn_bench.leaderboard import gate
from robust_unlearn_bench.leaderboard.gate.config import Calibration, Gate, Gated, draft, read_gate
from robust_unlearn_bench.leaderboard.gate.report import as_annotations, as_json, as_junit, as_markdown
from robust_unlearn_bench.leaderboard.gate.result import Result
from robust_unlearn_bench.leaderboard.gate.verdict import calibrate, check, mcnemar
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.items import Items, aggregate
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.record.strict_json import pretty

VERBMEM = "nano_books_verbmem"
LEVELS = ([0.1, 0.15, 0.3, 0.45, 0.55], [0.8, 0.75, 0.8, 0.8, 0.8])


def gated(attack: str = "relearn50", margin: float = 0.05, task: str = VERBMEM, worse: str = "up") -> Gated:
    return Gated(task=task, metric="rougeL_f1", attack=attack, worse=worse, margin=margin)


def changed(entry: Entry, task: str, change: Callable[[float, int], float], name: str = "candidate") -> Entry:
    """The same record with other scores for one task, sealed anew."""
    items = entry.items[task]
    scores = {
        key: tuple(None if v is None else change(v, i) for i, v in enumerate(column))
        for key, column in items.scores.items()
    }
    return rebuilt(entry, {**entry.items, task: Items(items.doc_hash, items.prompt_hash, items.cluster, scores)}, name)


def rebuilt(entry: Entry, items: dict[str, Items], name: str = "candidate", **fields: Any) -> Entry:
    told = {key: getattr(entry.record, key) for key in type(entry.record).model_fields if key != "submission_id"}
    results = []
    for result in entry.record.results:
        column = items[result.task].scores[result.attack, result.metric]
        scored = sum(v is not None for v in column)
        results.append(result.model_copy(update={"value": aggregate(column), "n": scored}))
    return Entry.unsaved(seal(**{**told, "display_name": name, "results": results, **fields}), items)


def familiar(name: str, sides: list[dict[str, float]]) -> Entry:
    """A record with one task, whose items are scores of forget and holdout passages."""
    world = World(tasks={"privleak": {"metric": "familiarity", "role": "holds", "higher_means": "more_knowledge"}})
    entry = world.entry(name, {"none": {"privleak": 0.5}})
    task = "nano_books_privleak"
    clusters = tuple(f"{i}" for i in range(len(sides)))
    items = Items(clusters, clusters, clusters, {("none", "familiarity"): tuple(sides)})
    suite = entry.record.suite
    described = suite.tasks[task]
    spec = described.metrics["familiarity"].model_copy(update={"aggregate": "familiarity"})
    described = described.model_copy(update={"metrics": {"familiarity": spec}, "n": len(sides)})
    results = [r.model_copy(update={"value": aggregate(tuple(sides)), "n": len(sides)}) for r in entry.record.results]
    described_suite = suite.model_copy(update={"tasks": {task: described}})
    record = entry.record.model_copy(update={"suite": described_suite, "results": results})
    return Entry(record, {task: items})


@pytest.fixture(scope="module")
def baseline(world: World, make_levels: Callable[..., Any]) -> Entry:
    return world.entry("baseline", make_levels(*LEVELS), objective="npo", optimizer="hybrid")


def test_a_rerun_is_held(baseline: Entry) -> None:
    result = check(baseline, changed(baseline, VERBMEM, lambda v, i: v), Gate(metric=[gated()]))
    assert (result.verdict, result.exit_code, result.ok) == ("held", 0, True)
    assert result.checks[0].worse_by == 0


def test_the_target_instead_of_the_unlearned_model_has_regressed(baseline: Entry, cast: dict[str, Entry]) -> None:
    result = check(baseline, cast["target"], Gate(metric=[gated("none"), gated("relearn50")]))
    assert (result.verdict, result.exit_code, result.ok) == ("regressed", 1, False)
    assert [c.verdict for c in result.checks] == ["regressed", "regressed"]


def test_lost_utility_has_regressed_in_the_other_direction(baseline: Entry, world: World, make_levels: Any) -> None:
    worse = world.entry("blunt", make_levels(LEVELS[0], [0.3] * 5))
    metric = gated("none", task="nano_books_knowmem_retain", worse="down")
    assert check(baseline, worse, Gate(metric=[metric])).verdict == "regressed"


def test_a_better_candidate_is_improved(baseline: Entry, world: World, make_levels: Any) -> None:
    better = world.entry("better", make_levels([0.05, 0.05, 0.05, 0.1, 0.1], LEVELS[1]))
    result = check(baseline, better, Gate(metric=[gated()]))
    assert (result.verdict, result.exit_code) == ("improved", 0)
    assert "renew the baseline" in result.summary()


def test_what_the_documents_cannot_tell_is_inconclusive_and_never_a_pass(baseline: Entry) -> None:
    noisy = changed(baseline, VERBMEM, lambda v, i: min(1.0, max(0.0, v + (0.3 if (i // 4) % 2 else -0.25))))
    strict = check(baseline, noisy, Gate(metric=[gated(margin=0.02)]))
    (found,) = strict.checks
    assert (strict.verdict, strict.exit_code) == ("inconclusive", 2)
    assert found.needed > found.documents
    assert found.detectable > found.gated.margin
    assert "needs about" in strict.summary()
    lenient = check(baseline, noisy, Gate(metric=[gated(margin=0.02)], inconclusive="warn"))
    assert (lenient.verdict, lenient.exit_code) == ("inconclusive", 0)


def test_holm_over_metrics(baseline: Entry, cast: dict[str, Entry]) -> None:
    one = check(baseline, cast["adam"], Gate(metric=[gated("relearn20")])).checks[0].p
    many = check(baseline, cast["adam"], Gate(metric=[gated("relearn20"), gated("none"), gated("gptq4")]))
    assert next(c.p for c in many.checks if c.gated.attack == "relearn20") >= one


def test_calibrated_noise_widens_the_bounds(baseline: Entry, cast: dict[str, Entry], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    text = f'calibration = "c.json"\n[[metric]]\ntask = "{VERBMEM}"\nmetric = "rougeL_f1"\nattack = "relearn20"\n'
    text += 'worse = "up"\nmargin = 0.2\n'
    config.write_text(text)
    cell = f"{VERBMEM} rougeL_f1 relearn20"
    (tmp_path / "c.json").write_bytes(
        pretty(Calibration(suite=["nano_books", "1"], runs=5, sd={cell: 0.05}).model_dump(mode="json"))
    )
    wide = check(baseline, cast["adam"], config).checks[0]
    narrow = check(baseline, cast["adam"], Gate(metric=[gated("relearn20", 0.2)])).checks[0]
    assert wide.high - wide.low > narrow.high - narrow.low
    assert narrow.note == ""
    (tmp_path / "c.json").write_bytes(
        pretty(Calibration(suite=["nano_books", "1"], runs=5, sd={}).model_dump(mode="json"))
    )
    assert check(baseline, cast["adam"], config).checks[0].note == "not calibrated"
    (tmp_path / "c.json").write_bytes(
        pretty(Calibration(suite=["nano_books", "1"], runs=5, sd={cell: 0.05}).model_dump(mode="json"))
    )
    config.write_text(text.replace("0.2", "0.1"))
    with pytest.raises(ConfigError, match=r"2\.8 × its run-to-run standard deviation"):
        check(baseline, cast["adam"], config)


def test_calibrate_needs_five_runs_of_one_suite(baseline: Entry, cast: dict[str, Entry]) -> None:
    config = Gate(metric=[gated()])
    with pytest.raises(RecordError, match="at least 5"):
        calibrate([baseline] * 4, config)
    with pytest.raises(RecordError, match="2 different models"):
        calibrate([baseline] * 4 + [cast["adam"]], config)
    runs = [changed(baseline, VERBMEM, lambda v, i, k=k: min(1.0, v + 0.01 * k), f"run {k}") for k in range(5)]
    values = [r.value for e in runs for r in e.record.results if r.task == VERBMEM and r.attack == "relearn50"]
    assert calibrate(runs, config).sd[config.metric[0].cell] == pytest.approx(float(scipy_stats.tstd(values)))


# --- invalid ---------------------------------------------------------------------------------------------------------


def test_tampered_items_are_invalid(baseline: Entry, tmp_path: Path) -> None:
    folder = baseline.save(tmp_path / "candidate").parent
    file = folder / f"{VERBMEM}.jsonl"
    file.write_bytes(file.read_bytes().replace(b"0.25", b"0.00", 1))
    result = check(baseline, folder, Gate(metric=[gated()]))
    assert (result.verdict, result.exit_code) == ("invalid", 3)
    assert "sha256" in result.errors[0]


@pytest.mark.parametrize("what", ["suite", "version", "attack", "cell", "documents", "config", "items", "nan"])
def test_what_cannot_be_compared_is_invalid(
    baseline: Entry, world: World, make_levels: Any, tmp_path: Path, what: str
) -> None:
    record, items = baseline.record, dict(baseline.items)
    if what == "suite":
        candidate = replace(world, suite="nano_news").entry("c", make_levels(*LEVELS))
    elif what == "version":
        candidate = rebuilt(baseline, items, suite=record.suite.model_copy(update={"version": "2"}))
    elif what in ("attack", "cell"):
        levels = {a: x for a, x in make_levels(*LEVELS).items() if a != "relearn50"}
        candidate = world.entry("c", levels)
    elif what == "documents":
        candidate = replace(world, clusters=19).entry("c", make_levels(*LEVELS))
    elif what == "config":
        attacks = [a.model_copy(update={"config": [{"attack": "relearn", "lr": 1.0}]}) for a in record.attacks]
        candidate = rebuilt(baseline, items, attacks=attacks)
    elif what == "items":
        candidate = Entry(record, {})
    else:
        path = baseline.save(tmp_path / "c")
        path.write_bytes(path.read_bytes().replace(b'"value": 0', b'"value": NaN, "x": 0', 1))
        result = check(baseline, path, Gate(metric=[gated()]))
        assert result.verdict == "invalid"
        assert "NaN is not JSON" in result.errors[0]
        return
    result = check(baseline, candidate, Gate(metric=[gated()]))
    assert (result.verdict, result.exit_code) == ("invalid", 3)
    assert result.errors


def test_documents_are_paired_by_hash_whatever_their_order(baseline: Entry) -> None:
    items = baseline.items[VERBMEM]
    back = Items(
        items.doc_hash[::-1],
        items.prompt_hash[::-1],
        items.cluster[::-1],
        {key: column[::-1] for key, column in items.scores.items()},
    )
    result = check(baseline, rebuilt(baseline, {**baseline.items, VERBMEM: back}), Gate(metric=[gated()]))
    assert result.verdict == "held"
    assert result.checks[0].low == result.checks[0].high == 0


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_record_that_its_items_do_not_give_is_invalid_on_either_side(baseline: Entry, side: str) -> None:
    """The gate compares items; a record that reports other numbers, or items no run can give, was held before."""
    polished = changed(baseline, VERBMEM, lambda v, i: v / 2)
    lie = Entry(baseline.record, polished.items)
    sides = (lie, baseline) if side == "baseline" else (baseline, lie)
    result = check(*sides, Gate(metric=[gated()]))
    assert (result.verdict, result.exit_code) == ("invalid", 3)
    assert any(f"the {side} is not valid" in e and "its items give" in e for e in result.errors)


@pytest.mark.parametrize("value", [-3.0, 1e308, None])
def test_values_that_no_run_gives_are_invalid(baseline: Entry, value: float | None) -> None:
    items = baseline.items[VERBMEM]
    scores = {key: (value, *column[1:]) for key, column in items.scores.items()}
    bent = Items(items.doc_hash, items.prompt_hash, items.cluster, scores)
    results = [
        r.model_copy(update={"n": 79 if value is None else 80, "value": max(0.0, min(1.0, aggregate(column) or 0.0))})
        if r.task == VERBMEM
        else r
        for r in baseline.record.results
        for column in [scores.get((r.attack, r.metric), ())]
    ]
    candidate = Entry.unsaved(
        seal(**{**baseline.record.model_dump(mode="json", exclude={"submission_id", "results"}), "results": results}),
        {**baseline.items, VERBMEM: bent},
    )
    result = check(baseline, candidate, Gate(metric=[gated()]))
    assert result.exit_code == 3
    words = "null, where the baseline has a number" if value is None else "is not within 0 and 1"
    assert any(words in error for error in result.errors)


def test_the_suite_knows_which_direction_is_worse(baseline: Entry, cast: dict[str, Entry]) -> None:
    """A configuration that calls more verbatim memory an improvement let every regression pass."""
    result = check(baseline, cast["target"], Gate(metric=[gated(worse="down")]))
    assert (result.verdict, result.exit_code) == ("invalid", 3)
    assert "the suite says that 'up' is" in result.errors[0]
    unsaid = Gated(task=VERBMEM, metric="rougeL_f1", attack="none", margin=0.05)
    assert check(baseline, cast["target"], Gate(metric=[unsaid])).verdict == "regressed"


@pytest.mark.parametrize("clusters", [1, 7])
def test_few_clusters_are_no_certainty(make_levels: Any, clusters: int) -> None:
    world = World(clusters=clusters, documents=40)
    old, new = (world.entry(name, make_levels([level] * 5, [0.8] * 5)) for name, level in (("old", 0.5), ("new", 0.1)))
    result = check(old, new, Gate(metric=[gated()]))
    (found,) = result.checks
    assert (result.verdict, result.exit_code) == ("inconclusive", 2)
    assert f"{clusters} clusters, at least 8 are needed" in found.sentence
    json.loads(as_json(result))


def test_a_change_without_spread_is_no_certainty(baseline: Entry) -> None:
    flat = changed(baseline, VERBMEM, lambda v, i: 0.5)
    better = check(flat, changed(baseline, VERBMEM, lambda v, i: 0.2), Gate(metric=[gated()]))
    assert (better.verdict, better.exit_code) == ("inconclusive", 2)
    little = check(flat, changed(baseline, VERBMEM, lambda v, i: 0.54), Gate(metric=[gated()]))
    assert (little.verdict, little.exit_code) == ("inconclusive", 2)
    assert "the same in every cluster" in little.summary()
    lost = check(flat, changed(baseline, VERBMEM, lambda v, i: 1.0), Gate(metric=[gated()], inconclusive="warn"))
    assert (lost.verdict, lost.exit_code) == ("regressed", 1)
    same = check(flat, changed(baseline, VERBMEM, lambda v, i: 0.5), Gate(metric=[gated()]))
    assert same.verdict == "held"
    assert "every item equals" in same.summary()


# --- configuration ---------------------------------------------------------------------------------------------------


def test_init_writes_a_configuration_that_works(baseline: Entry, tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    config.write_text(draft(baseline))
    read, calibration = read_gate(config)
    assert calibration is None
    assert len(read.metric) == 15
    assert {m.worse for m in read.metric if m.task.endswith("retain")} == {"down"}
    assert check(baseline, baseline, config).verdict == "held"


def test_init_gates_likelihoods_where_the_scorer_reads_them(family_cast: dict[str, Entry], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    config.write_text(draft(family_cast["shallow"]))
    held = [m for m in read_gate(config)[0].metric if m.task == "nano_books_answer_prob"]
    assert {m.worse for m in held} == {"up"}
    assert [m.attack for m in held] == ["none", "gptq4", "relearn20_retain"]


def test_init_leaves_out_what_was_not_measured(baseline: Entry, tmp_path: Path) -> None:
    kept = [r for r in baseline.record.results if (r.task, r.attack) != (VERBMEM, "relearn20")]
    config = tmp_path / "gate.toml"
    config.write_text(draft(Entry(baseline.record.model_copy(update={"results": kept}), baseline.items)))
    cells = {(m.task, m.attack) for m in read_gate(config)[0].metric}
    assert (VERBMEM, "relearn20") not in cells
    assert (VERBMEM, "relearn50") in cells


def test_a_candidate_that_holds_more_has_regressed_though_it_says_no_more(family_cast: dict[str, Entry]) -> None:
    held = Gated(task="nano_books_answer_prob", metric="prob", worse="up", margin=0.1)
    said = gated("none", margin=0.1)
    result = check(family_cast["retrain"], family_cast["silent"], Gate(metric=[held, said]))
    assert {c.gated.task: c.verdict for c in result.checks} == {held.task: "regressed", said.task: "held"}
    back = check(family_cast["silent"], family_cast["retrain"], Gate(metric=[held]))
    assert back.verdict == "improved"


def test_familiarity_is_gated_over_both_sides(tmp_path: Path) -> None:
    """1 − mean(forget) / mean(holdout) from .5 to .75: a trace of a quarter more."""
    entries = []
    for name, score in (("before", 2.0), ("after", 1.0)):
        sides = [{"forget": score + i / 100} for i in range(20)] + [{"holdout": 4.0 + i / 100} for i in range(20)]
        entries.append(familiar(name, sides))
    metric = Gated(task="nano_books_privleak", metric="familiarity", worse="up", margin=0.1)
    (found,) = check(*entries, Gate(metric=[metric])).checks
    assert found.verdict == "regressed"
    assert found.worse_by == pytest.approx(1 / 4.095, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metric"),
        ("metric = 3", "metric"),
        ('[[metric]]\ntask="t"\nmetric="m"\nworse="up"', "margin"),
        ('[[metric]]\ntask="t"\nmetric="m"\nworse="sideways"\nmargin=0.1', "worse"),
        ('[[metric]]\ntask="t"\nmetric="m"\nworse="up"\nmargin=0', "margin"),
        ('[[metric]]\ntask="t"\nmetric="m"\nworse="up"\nmargin=0.1\ntolerance=1', "tolerance"),
        ('alpha=2\n[[metric]]\ntask="t"\nmetric="m"\nworse="up"\nmargin=0.1', "alpha"),
        ('[[metric]]\ntask="t"\nmetric="m"\nworse="up"\nmargin=0.1\n' * 2, "gated twice"),
        ("= nonsense", "not TOML"),
    ],
)
def test_wrong_configurations_name_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_gate(path)
    with pytest.raises(ConfigError, match="rub gate init"):
        read_gate(tmp_path / "absent.toml")


# --- outputs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regressed(baseline: Entry, cast: dict[str, Entry]) -> Result:
    metrics = [gated(a, task=t) for a in ("none", "gptq4", "relearn10", "relearn20", "relearn50")
               for t in (VERBMEM, "nano_books_knowmem_forget")]  # fmt: skip
    metrics.append(gated("none", task="nano_books_knowmem_retain", worse="down"))
    metrics.append(gated("gptq4", 0.2, "nano_books_knowmem_retain", "down"))
    return check(baseline, cast["target"], Gate(metric=metrics))


def test_worst_comes_first(regressed: Result) -> None:
    order = [("regressed", "inconclusive", "improved", "held").index(c.verdict) for c in regressed.checks]
    assert order == sorted(order)
    assert regressed.summary().splitlines()[0].startswith("✗")
    assert regressed.summary().endswith("regressed")


def test_json(regressed: Result) -> None:
    told = json.loads(as_json(regressed))
    assert told["exit_code"] == 1
    assert len(told["checks"]) == 12
    assert told["checks"][0]["gated"]["margin"] == 0.05


def test_markdown_has_a_row_a_metric(regressed: Result) -> None:
    assert sum(line.startswith("| ✗ regressed") for line in as_markdown(regressed).splitlines()) == 10


def test_junit(regressed: Result) -> None:
    root = ET.fromstring(as_junit(regressed))
    assert root.attrib["failures"] == "10"
    assert len(root.findall("testcase/failure")) == 10
    invalid = Result("a", "b", (), ("\x00 <bad> & worse",))
    assert ET.fromstring(as_junit(invalid)).find("testcase/error") is not None


def test_github_shows_ten_of_each_level(regressed: Result) -> None:
    lines = as_annotations(regressed).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == 10
    hostile = Result("a", "b", (), ("broken\n::error::gotcha %",))
    assert as_annotations(hostile) == "::error title=gate%3A invalid::broken%0A::error::gotcha %25\n"


# --- statistics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("up", "down"), [(0, 0), (5, 0), (8, 3), (20, 20), (300, 250)])
def test_mcnemar_is_the_exact_binomial_test(up: int, down: int) -> None:
    before = [0.0] * up + [1.0] * down + [1.0] * 10
    after = [1.0] * up + [0.0] * down + [1.0] * 10
    expected = scipy_stats.binomtest(up, up + down).pvalue if up + down else 1.0
    assert mcnemar(before, after) == pytest.approx(expected, rel=1e-9)


def test_binary_items_get_the_cross_check(baseline: Entry) -> None:
    old = changed(baseline, VERBMEM, lambda v, i: float(i % 2))
    new = changed(baseline, VERBMEM, lambda v, i: float(i % 2 or i % 4 == 0))
    (found,) = check(old, new, Gate(metric=[gated()])).checks
    assert found.mcnemar == pytest.approx(2 * 0.5**20)
    assert found.verdict == "regressed"
    assert check(baseline, baseline, Gate(metric=[gated()])).checks[0].mcnemar is None


def test_pytest_users_call_check(baseline: Entry, tmp_path: Path) -> None:
    folder = baseline.save(tmp_path / "record").parent
    config = tmp_path / "gate.toml"
    config.write_text(draft(baseline))
    result = gate.check(folder, folder, config)
    assert result.ok, result.summary()
