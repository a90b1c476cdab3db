"""The checklist that `rub submit` writes."""

from __future__ import annotations

import shlex
from pathlib import Path

from robust_unlearn_bench.leaderboard.check.checklist import checklist, open_points
from robust_unlearn_bench.leaderboard.check.finding import Finding
from robust_unlearn_bench.leaderboard.check.validate import Verdict
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.sealing import seal

FINE = Verdict((), "recomputed")


def written(entry: Entry, folder: Path, verdict: Verdict = FINE) -> str:
    entry.save(folder)
    return checklist(entry, verdict, folder)


def changed(entry: Entry, **parts: dict[str, object]) -> Entry:
    """The same record with other fields in some of its parts."""
    fields = entry.record.model_dump(mode="json", exclude={"submission_id"})
    return Entry.unsaved(seal(**{**fields, **{k: {**fields[k], **v} for k, v in parts.items()}}), entry.items)


def test_the_copied_files_are_those_of_the_record(cast: dict[str, Entry], tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    text = written(cast["hybrid"], folder)
    copy = next(line for line in text.splitlines() if line.startswith("    cp "))
    *sources, target = shlex.split(copy)[1:]
    assert {Path(source).name for source in sources} == {path.name for path in folder.iterdir()}
    assert all(Path(source).is_file() for source in sources)
    assert target == f"leaderboard/records/{cast['hybrid'].id}/"


def test_numbers_are_those_of_the_record(cast: dict[str, Entry], tmp_path: Path) -> None:
    entry = cast["adam"]
    text = written(entry, tmp_path / "out")
    value = next(r.value for r in entry.record.results if (r.task, r.attack) == ("nano_books_verbmem", "gptq4"))
    heads, cells = (next(line for line in text.splitlines() if line.startswith(f"| {x}")) for x in ("perc", "verb"))
    at = heads.split(" | ").index("gptq4")
    assert cells.split(" | ")[at] == f"{100 * value:.1f}"


def test_a_finding_leaves_the_box_of_the_validator_open(cast: dict[str, Entry], tmp_path: Path) -> None:
    verdict = Verdict((Finding("error", "model.weights", "the *target's* weights"),), "self_reported")
    text = written(cast["adam"], tmp_path / "out", verdict)
    assert "- [x] `rub leaderboard validate" in written(cast["adam"], tmp_path / "out")
    assert "- [ ] `rub leaderboard validate" in text
    assert r"the \*target's\* weights" in text


def test_open_points(cast: dict[str, Entry]) -> None:
    known = {"objective": "npo", "optimizer": "adam", "tuning_trials": 3}
    whole = changed(cast["adam"], method=known, model={"source": "hub"})
    assert open_points(whole.record) == []
    for part, value, told in (
        ("model", {"source": "local"}, "publish"),
        ("method", {"optimizer": None}, "--recipe"),
        ("method", {"tuning_trials": None}, "tuning"),
    ):
        assert [told in point for point in open_points(changed(whole, **{part: value}).record)] == [True]


def test_a_hostile_name_stays_text(cast: dict[str, Entry], tmp_path: Path) -> None:
    entry = cast["adam"]
    fields = entry.record.model_dump(mode="json", exclude={"submission_id"})
    entry = Entry.unsaved(seal(**{**fields, "display_name": "<script>`$(rm -rf x)`|"}), entry.items)
    text = written(entry, tmp_path / "out")
    assert "<script>" not in text
    assert "$(rm" not in "".join(line for line in text.splitlines() if line.startswith("    "))
