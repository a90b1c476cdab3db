"""Pull requests, as git sees them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulated_records import World

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.check.intake import changes, examine
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.store import Store

Commit = Callable[[], str]


@pytest.fixture
def repository(tmp_path: Path, cast: dict[str, Entry]) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    store = Store(folder / "leaderboard")
    store.set_anchor(cast["target"], "target")
    store.set_anchor(cast["retrain"], "retrain")
    store.add(cast["adam"], tier="recomputed", by="ci", reason="validated")
    commit(folder)
    git(folder, "checkout", "-q", "-b", "pr")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD").strip()


def submit(folder: Path, entry: Entry) -> Path:
    return entry.save(folder / "leaderboard" / "records" / entry.id).parent


def wrong(folder: Path) -> list[str]:
    head = commit(folder)
    git(folder, "checkout", "-q", "main")
    return [str(f) for f in examine(folder, "main", head) if f.level == "error"]


def test_a_new_record_may_be_merged(repository: Path, cast: dict[str, Entry]) -> None:
    submit(repository, cast["hybrid"])
    assert wrong(repository) == []


def test_the_base_may_have_moved_on(repository: Path, cast: dict[str, Entry]) -> None:
    submit(repository, cast["hybrid"])
    head = commit(repository)
    git(repository, "checkout", "-q", "main")
    (repository / "README.md").write_text("news")
    commit(repository)
    assert [c.path.split("/")[1] for c in changes(repository, "main", head)] == ["records"] * 4
    assert [f for f in examine(repository, "main", head) if f.level == "error"] == []


def test_a_merge_that_deletes_a_row_is_refused_whatever_the_branch_adds(
    repository: Path, cast: dict[str, Entry], world: World, make_levels: Callable[..., Any]
) -> None:
    """Criss-cross: the branch takes main in without its newest row, main takes the branch in; both are merge bases."""
    git(repository, "checkout", "-q", "main")
    other = repository / "leaderboard" / "records" / cast["hider"].id
    cast["hider"].save(other)
    theirs = commit(repository)
    git(repository, "checkout", "-q", "pr")
    submit(repository, cast["hybrid"])
    first = commit(repository)
    git(repository, "merge", "-q", "-s", "ours", "--no-edit", theirs)
    second = world.entry("second", make_levels([0.2] * 5, [0.7] * 5), relationship="author")
    submit(repository, second)
    head = commit(repository)
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-edit", first)
    shown = git(repository, "diff", "--name-status", first, head).splitlines()
    assert {line[0] for line in shown} == {"A"}  # what a comparison with one of the merge bases shows
    merged = git(repository, "merge-tree", "--write-tree", "main", head).split()[0]
    assert str(cast["hider"].id) not in git(repository, "ls-tree", "-r", "--name-only", merged)  # what a merge would do
    (finding,) = examine(repository, "main", head)
    assert finding.level == "error"
    assert "2 merge bases" in finding.message


def test_conflicts_are_one_finding(repository: Path, cast: dict[str, Entry]) -> None:
    path = repository / "leaderboard" / "records" / cast["adam"].id / "record.json"
    path.write_bytes(path.read_bytes() + b"\n")
    head = commit(repository)
    git(repository, "checkout", "-q", "main")
    path.write_bytes(path.read_bytes() + b"\n\n")
    commit(repository)
    (finding,) = examine(repository, "main", head)
    assert "conflicts" in finding.message


def test_a_record_may_not_call_itself_a_maintainers(repository: Path, cast: dict[str, Entry]) -> None:
    submit(repository, cast["random weights"])
    assert "for events to say" in wrong(repository)[0]


def test_records_of_one_pull_request_are_compared_with_each_other(repository: Path, cast: dict[str, Entry]) -> None:
    submit(repository, cast["hybrid"])
    fields = cast["hybrid"].record.model_dump(mode="json", exclude={"submission_id"})
    submit(repository, Entry.unsaved(seal(**{**fields, "display_name": "Another"}), cast["hybrid"].items))
    head = commit(repository)
    git(repository, "checkout", "-q", "main")
    found = [str(f) for f in examine(repository, "main", head)]
    assert any("the same weights as" in message for message in found)


def test_existing_records_stay_as_they_are(repository: Path, cast: dict[str, Entry]) -> None:
    path = repository / "leaderboard" / "records" / cast["adam"].id / "record.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert "records never change" in wrong(repository)[0]


def test_deleting_is_a_change(repository: Path, cast: dict[str, Entry]) -> None:
    (repository / "leaderboard" / "records" / cast["adam"].id / "record.json").unlink()
    assert "records never change" in wrong(repository)[0]


@pytest.mark.parametrize(
    "path",
    [
        "robust_unlearn_bench/x.py",
        ".github/workflows/x.yml",
        "leaderboard/events/x.jsonl",
        "leaderboard/anchors/x/record.json",
        "leaderboard/records/x.yaml",
        "leaderboard/records/rub1-00000000000000000000000000000000/model.bin",
        "leaderboard/records/rub1-00000000000000000000000000000000/deep/er.jsonl",
    ],
)
def test_nothing_else_may_change(repository: Path, path: str) -> None:
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text("{}")
    assert "only new files under leaderboard/records/" in wrong(repository)[0]


def test_links_and_executables_are_refused(repository: Path, cast: dict[str, Entry]) -> None:
    folder = submit(repository, cast["hybrid"])
    (folder / "nano_books_verbmem.jsonl").unlink()
    (folder / "nano_books_verbmem.jsonl").symlink_to("/etc/passwd")
    os.chmod(folder / "nano_books_knowmem_retain.jsonl", 0o755)
    found = wrong(repository)
    assert any("mode 120000" in message for message in found)
    assert any("mode 100755" in message for message in found)


def test_folders_are_called_like_their_record(repository: Path, cast: dict[str, Entry]) -> None:
    cast["hybrid"].save(repository / "leaderboard" / "records" / ("rub1-" + "0" * 32))
    assert f"must be called {cast['hybrid'].id}" in wrong(repository)[0]


def test_unnamed_and_missing_files(repository: Path, cast: dict[str, Entry]) -> None:
    folder = submit(repository, cast["hybrid"])
    (folder / "more.jsonl").write_text("{}\n")
    assert "does not name: more.jsonl" in wrong(repository)[0]
    git(repository, "checkout", "-q", "pr")
    (folder / "more.jsonl").unlink()
    (folder / "nano_books_verbmem.jsonl").unlink()
    assert "no such file" in wrong(repository)[0]


def test_large_files_are_refused_by_size(repository: Path, cast: dict[str, Entry]) -> None:
    folder = submit(repository, cast["hybrid"])
    (folder / "record.json").write_bytes(b" " * 300_000)
    assert "300,000 bytes" in wrong(repository)[0]


def test_an_unknown_revision_is_one_sentence(repository: Path) -> None:
    with pytest.raises(RecordError, match="git merge-base"):
        changes(repository, "main", "nowhere")


def test_workflows_pin_their_actions_and_hold_no_write_token(root: Path) -> None:
    files = [*(root / ".github" / "workflows").glob("*.yml"), *(root / ".github" / "actions" / "gate").glob("*.yml")]
    for file in files:
        for used in re.findall(r"^\s*-? ?uses: (\S+)", file.read_text(), re.MULTILINE):
            ours = used.startswith(("./", "robust-unlearn-bench/"))
            assert ours or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used), f"{file.name}: {used}"
    intake = yaml.safe_load((root / ".github" / "workflows" / "intake.yml").read_text())
    assert intake["permissions"] == {"contents": "read"}
    assert set(intake[True]) == {"pull_request"}  # YAML reads the key `on` as true
    text = (root / ".github" / "workflows" / "intake.yml").read_text()
    assert "pull_request_target" not in text
    assert "head.ref" not in text
    assert "head.sha" not in text


@pytest.mark.parametrize(("path", "expected"), [("leaderboard/x.md", True), ("README.md", False)])
def test_the_workflow_judges_what_the_merge_would_change_on_the_board(
    root: Path, repository: Path, path: str, expected: bool
) -> None:
    (repository / path).write_text("x")
    git(repository, "update-ref", "refs/intake/head", commit(repository))
    git(repository, "checkout", "-q", "main")
    (repository / "leaderboard" / "news.md").write_text("of somebody else")
    base = commit(repository)
    intake = yaml.safe_load((root / ".github" / "workflows" / "intake.yml").read_text())
    step = next(step for step in intake["jobs"]["records"]["steps"] if step.get("id") == "touched")
    output = repository.parent / "output"
    environment = {**os.environ, "BASE": base, "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=repository, env=environment, check=True)
    assert (output.exists() and "board=true" in output.read_text()) is expected


def test_the_ruleset_and_code_owners_protect_what_judges(root: Path) -> None:
    owners = [
        line.split() for line in (root / ".github" / "CODEOWNERS").read_text().splitlines() if line[:1] not in "#"
    ]
    owned = {line[0]: line[1:] for line in owners}
    for path in ("*", "/.github/", "/leaderboard/events/", "/leaderboard/anchors/"):
        assert owned[path], path
    ruleset = json.loads((root / ".github" / "rulesets" / "main.json").read_text())
    rules = {rule["type"]: rule.get("parameters", {}) for rule in ruleset["rules"]}
    assert rules["pull_request"]["require_code_owner_review"]
    assert rules["pull_request"]["allowed_merge_methods"] == ["squash"]
    assert rules["required_status_checks"]["strict_required_status_checks_policy"]
    required = {check["context"] for check in rules["required_status_checks"]["required_status_checks"]}
    jobs = {
        job
        for file in (root / ".github" / "workflows").glob("*.yml")
        for job in yaml.safe_load(file.read_text())["jobs"]
    }
    assert required <= jobs
    assert "records" in required
    assert ruleset["bypass_actors"] == []


def test_the_package_reads_no_pickles(root: Path) -> None:
    for path in (root / "robust_unlearn_bench" / "leaderboard").rglob("*.py"):
        assert not re.search(r"\b(pickle|torch\.load|yaml\.load|marshal|shelve|eval\(|exec\()", path.read_text()), path
