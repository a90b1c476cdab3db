"""Damaged and edited folders through everything that reads them: loading, validator, page labels, gate, intake.

A few hundred on every run; `RUB_MUTATIONS=36000 pytest tests/leaderboard/test_mutations.py` tries as many as are asked for,
and `RUB_MUTATIONS_SEED` chooses others. Two properties hold for all of them: nothing but the project's own errors is
raised, and no edit of a row that is on the board raises its score without a label.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fixtures.forgeries import STOLEN, forged

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.check.intake import examine
from robust_unlearn_bench.leaderboard.check.validate import validate
from robust_unlearn_bench.leaderboard.gate.config import Gate, Gated
from robust_unlearn_bench.leaderboard.gate.report import as_annotations, as_json, as_junit, as_markdown
from robust_unlearn_bench.leaderboard.gate.verdict import check
from robust_unlearn_bench.leaderboard.record.entry import Entry, load
from robust_unlearn_bench.leaderboard.record.items import aggregate
from robust_unlearn_bench.leaderboard.record.sealing import identity
from robust_unlearn_bench.leaderboard.record.strict_json import canonical, pretty
from robust_unlearn_bench.leaderboard.scoring.likeness import likenesses
from robust_unlearn_bench.leaderboard.scoring.scorer import score
from robust_unlearn_bench.leaderboard.store import Anchors, Store

CASES = int(os.environ.get("RUB_MUTATIONS", "300"))
SEED = int(os.environ.get("RUB_MUTATIONS_SEED", "0"))

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.0, 1.0, -0.0, 0.5, 2.0, -0.25, 1e-300, 1e300, 1e308, 2**53, 10**17, "x", "0.5", "",
    {}, {"z": 0.0}, {"z": None}, {"a": 0.5, "b": 0.0}, {"": 0.5}, [], [0.5], {"a": {"b": 1.0}},
]  # fmt: skip

Rows = list[dict[str, Any]]


# --- one edit of an item file ----------------------------------------------------------------------------------------


def a_value(rows: Rows, rng: random.Random) -> None:
    row = rng.choice(rows)
    run = rng.choice(sorted(row["scores"]))
    plain = rng.random() < 0.6
    row["scores"][run][rng.choice(sorted(row["scores"][run]))] = rng.choice([0.0, 0.25, 1.0] if plain else VALUES)


def a_column(rows: Rows, rng: random.Random) -> None:
    run = rng.choice(sorted(rows[0]["scores"]))
    metric = rng.choice(sorted(rows[0]["scores"][run]))
    how: list[Callable[[float], Any]] = [
        lambda v: 0.0, lambda v: v * 0.5, lambda v: v * 0.9, lambda v: max(0.0, v - 0.25), lambda v: 1.0 - v,
        lambda v: v + 1e-4, lambda v: v - 1e-4, lambda v: None, lambda v: None if v > 0.25 else v,
        lambda v: round(v), lambda v: int(v), lambda v: 1.0, lambda v: {"a": v}, lambda v: {"a": v, "b": 0.0},
        lambda v: max(0.0, min(1.0, v + rng.uniform(-0.3, 0.1))),
    ]  # fmt: skip
    change = rng.choice(how)
    for row in rows:
        value = row["scores"].get(run, {}).get(metric)
        if isinstance(value, float):
            row["scores"][run][metric] = change(value)


def a_whole_task(rows: Rows, rng: random.Random) -> None:
    factor = rng.choice([0.0, 0.5, 0.9, 0.99, 0.999])
    for row in rows:
        for run, metrics in row["scores"].items():
            row["scores"][run] = {m: v * factor if isinstance(v, float) else v for m, v in metrics.items()}


def a_copied_run(rows: Rows, rng: random.Random) -> None:
    runs = sorted(rows[0]["scores"])
    source, target = rng.choice(runs), rng.choice([*runs, "relearn50#1", "relearn5000", "none#3"])
    for row in rows:
        row["scores"][target] = dict(row["scores"].get(source, {}))


def a_missing_run(rows: Rows, rng: random.Random) -> None:
    run = rng.choice(sorted(rows[0]["scores"]))
    for row in rows if rng.random() < 0.7 else rows[: len(rows) // 2]:
        row["scores"].pop(run, None)


def an_order(rows: Rows, rng: random.Random) -> None:
    how = rng.randrange(5)
    if how == 0:
        rng.shuffle(rows)
    elif how == 1:
        del rows[rng.randrange(len(rows)) :]
    elif how == 2:
        rows.append(dict(rng.choice(rows)))
    elif how == 3:
        rows[0], rows[-1] = rows[-1], rows[0]
    else:
        rows.clear()
    for i, row in enumerate(rows if rng.random() < 0.7 else ()):
        row["doc_id"] = i


def a_field(rows: Rows, rng: random.Random) -> None:
    row = rng.choice(rows)
    key = rng.choice([*sorted(row), "text", "__class__"])
    row[key] = rng.choice([*VALUES, "0" * 64, "p0", "a" * 200, "p0\n", row.get("doc_hash")])


EDITS = (
    a_value,
    a_value,
    a_column,
    a_column,
    a_whole_task,
    a_whole_task,
    a_copied_run,
    a_missing_run,
    an_order,
    a_field,
)


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """The bytes of a file, changed without regard for what they mean."""
    how = rng.randrange(7)
    if how == 0:
        return raw[: rng.randrange(len(raw) + 1)]
    if how == 1:
        return b"\xef\xbb\xbf" + raw
    if how == 2:
        return raw.replace(b"\n", b"\r\n")
    if how == 3:
        return raw + rng.choice([b"\n", b"{}\n", b"null\n", b"[" * 50, b'"' * 999, b"\x00"])
    if how == 4:
        return raw.replace(b":", b": ", rng.randrange(1, 20))
    changed = bytearray(raw)
    for _ in range(rng.randrange(1, 5)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


# --- a whole folder --------------------------------------------------------------------------------------------------


def write_mutant(entry: Entry, folder: Path, rng: random.Random) -> None:
    """An edited copy of a record under other weights and another name, hashes and id consistent wherever they can be."""
    fields = entry.record.model_dump(mode="json", exclude={"submission_id"})
    fields["model"] = {**fields["model"], **STOLEN}
    fields["display_name"] = f"Mutant {rng.random()}"
    files: dict[str, bytes] = {}
    edited = rng.sample(sorted(entry.items), rng.choice([1, 1, 1, 2, 3]))
    for task, raw in ((task, (folder.parent / f"{task}.original").read_bytes()) for task in entry.items):
        if task in edited:
            raw = edit(raw, task, fields, rng)
        files[f"{task}.jsonl"] = raw
        fields["suite"]["tasks"][task]["items"] |= {"sha256": sha256(raw).hexdigest(), "bytes": len(raw)}
    if rng.random() < 0.15:
        attack = rng.choice(fields["attacks"])
        attack[rng.choice(sorted(attack))] = rng.choice([*VALUES, [{}], [{"attack": "none"}]])
    try:
        record = pretty({**fields, "submission_id": identity(fields)})
    except RecordError:
        record = json.dumps({**fields, "submission_id": "rub1-" + "0" * 32}).encode()
    files["record.json"] = damaged(record, rng) if rng.random() < 0.1 else record
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if rng.random() < 0.1:
        disturb(folder, rng)


def edit(raw: bytes, task: str, fields: dict[str, Any], rng: random.Random) -> bytes:
    """Edit the items of a task, and make the record's results and counts follow from them."""
    if rng.random() < 0.1:
        return damaged(raw, rng)
    rows = [json.loads(line) for line in raw.splitlines()]
    for _ in range(rng.choice([1, 1, 2])):
        if rows and all(row.get("scores") and isinstance(row["scores"], dict) for row in rows):
            rng.choice(EDITS)(rows, rng)
    fields["suite"]["tasks"][task]["n"] = len(rows)
    for result in fields["results"]:
        if result["task"] != task:
            continue
        try:
            run = result["attack"] if result["seed"] == 0 else f"{result['attack']}#{result['seed']}"
            column = [row["scores"][run][result["metric"]] for row in rows]
            result |= {"value": aggregate(column), "n": sum(value is not None for value in column)}
        except (KeyError, TypeError, AttributeError, ArithmeticError):
            pass
    try:
        return b"".join(canonical(row) + b"\n" for row in rows)
    except RecordError:
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def disturb(folder: Path, rng: random.Random) -> None:
    """Something other than plain files of the right names."""
    path = folder / rng.choice(sorted(p.name for p in folder.iterdir()))
    how = rng.randrange(6)
    if how == 0:
        path.unlink()
    elif how == 1:
        path.unlink()
        path.mkdir()
    elif how == 2:
        path.unlink()
        path.symlink_to("/etc/hostname")
    elif how == 3:
        path.write_bytes(b"")
    elif how == 4:
        path.rename(folder / path.name.upper())
    else:
        (folder / rng.choice(["aux.jsonl", "more.jsonl", "record.json.bak", "é.jsonl"])).write_bytes(path.read_bytes())


# --- the properties --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anchors(cast: dict[str, Entry]) -> Anchors:
    return Anchors(cast["target"], cast["retrain"])


@pytest.fixture(scope="module")
def workshop(cast: dict[str, Entry], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the original item files; mutants are written beside them."""
    folder = tmp_path_factory.mktemp("mutants")
    cast["adam"].save(folder / "original")
    for task in cast["adam"].items:
        shutil.copy(folder / "original" / f"{task}.jsonl", folder / f"{task}.original")
    return folder


def test_mutants_are_refused_or_labelled_or_worse(cast: dict[str, Entry], anchors: Anchors, workshop: Path) -> None:
    honest, outcomes = cast["adam"], Counter[str]()
    best = value_of(honest, anchors)
    gate = Gate(metric=[Gated(task=task, metric="rougeL_f1", attack="relearn50", margin=0.1) for task in honest.items])
    for case in range(CASES):
        rng = random.Random(f"{SEED}/{case}")
        write_mutant(honest, workshop / "mutant", rng)
        result = check(honest, workshop / "mutant", gate)
        assert result.exit_code in (0, 1, 2, 3), case
        assert all((as_json(result), as_junit(result), as_markdown(result), as_annotations(result) or result.ok)), case
        entry = read(workshop / "mutant")
        if isinstance(entry, RecordError):
            outcomes["unreadable"] += 1
            assert str(entry).isprintable(), case
            assert len(str(entry)) < 800, case
            assert result.exit_code == 3, case
            continue
        verdict = validate(entry, anchors, [honest])
        if not verdict.ok:
            outcomes["refused"] += 1
            continue
        outcomes["may stand"] += 1
        if value_of(entry, anchors) > best + 1e-9:
            outcomes["better, labelled"] += 1
            assert [f for f in verdict.findings if f.level == "label"], case
            assert entry.id in likenesses([honest, entry]), case
    print(dict(outcomes))  # shown with -s, for the many that are run by hand
    assert outcomes["unreadable"] + outcomes["refused"] > outcomes["may stand"] > 0
    assert outcomes["better, labelled"] > 0 or CASES < 300


def read(folder: Path) -> Entry | RecordError:
    """The record, or the project's own error; anything else is raised."""
    try:
        return load(folder)
    except RecordError as error:
        return error


def value_of(entry: Entry, anchors: Anchors) -> float:
    board = score([entry], *anchors, replicates=20)
    return next(row for row in board.rows if row.entry.id == entry.id).score.value or 0.0


def test_mutants_that_intake_lets_through_leave_a_board_that_can_be_read(
    cast: dict[str, Entry], workshop: Path, tmp_path: Path
) -> None:
    """One file in another form than the store writes made every later reading of the board fail."""
    repository, store = tmp_path / "repo", Store(tmp_path / "repo" / "leaderboard")
    for role in ("target", "retrain"):
        store.set_anchor(cast[role], role)
    store.add(cast["hybrid"], tier="recomputed", by="ci", reason="recomputed")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "board")
    base, outcomes = git(repository, "rev-parse", "HEAD"), Counter[bool]()
    for case in range(max(CASES // 20, 10)):
        rng = random.Random(f"{SEED}/intake/{case}")
        write_mutant(cast["adam"], workshop / "mutant", rng)
        name = submission_of(workshop / "mutant")
        shutil.copytree(workshop / "mutant", store.root / "records" / name, symlinks=True)
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "--allow-empty", "-m", "mutant")
        head = git(repository, "rev-parse", "HEAD")
        git(repository, "checkout", "-q", base)
        merged = not any(finding.level == "error" for finding in examine(repository, base, head))
        outcomes[merged] += 1
        if merged:
            git(repository, "checkout", "-q", head)
            entries = Store(repository / "leaderboard").entries()
            assert len(entries) == 2, case
            again = Store(tmp_path / "again")
            shutil.rmtree(again.root, ignore_errors=True)
            for entry in entries:
                again.add(entry, tier="recomputed", by="ci", reason="recomputed")
            assert [e.id for e in again.entries()] == [e.id for e in entries], case
            git(repository, "checkout", "-q", base)
        git(repository, "clean", "-qfdx")
    assert outcomes[False] > 0


def submission_of(folder: Path) -> str:
    """The id that the record claims, or any."""
    try:
        name = json.loads((folder / "record.json").read_bytes())["submission_id"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    return name if isinstance(name, str) and name.startswith("rub1-") and name.isascii() else "rub1-" + "0" * 32


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_original_under_other_weights_is_labelled(cast: dict[str, Entry], anchors: Anchors) -> None:
    """What every mutant is measured against: the copy itself may stand, with a label."""
    model = {**cast["adam"].record.model_dump(mode="json")["model"], **STOLEN}
    verdict = validate(forged(cast["adam"], model=model, display_name="Other"), anchors, [cast["adam"]])
    assert verdict.ok
    assert any("items that differ by 0 on average" in f.message for f in verdict.findings)
