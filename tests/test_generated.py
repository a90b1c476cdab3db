"""Files that are written from the code are what the code would write."""

from __future__ import annotations

from pathlib import Path

from robust_unlearn_bench.generated import Written, update, written_files


def test_everything_is_up_to_date(root: Path) -> None:
    stale = [sentence for written in written_files() for sentence in update(root, written, check=True)]
    assert stale == [], "run `make generated`"


def test_update_repairs_what_check_finds(tmp_path: Path) -> None:
    written = Written("tasks/**/*.yaml", {"tasks/a/one.yaml": "one\n", "tasks/a/two.yaml": "zwei ≠ two\n"})
    assert update(tmp_path, written, check=True) == ["tasks/a/one.yaml is missing", "tasks/a/two.yaml is missing"]
    assert not (tmp_path / "tasks").exists()
    update(tmp_path, written, check=False)
    assert update(tmp_path, written, check=True) == []
    (tmp_path / "tasks/a/one.yaml").write_text("two\n")
    (tmp_path / "tasks/a/two.yaml").unlink()
    (tmp_path / "tasks/stray.yaml").write_text("")
    (tmp_path / "tasks/README.md").write_text("by hand")
    found = [
        "tasks/a/one.yaml is out of date",
        "tasks/a/two.yaml is missing",
        "tasks/stray.yaml is written from nothing any more",
    ]
    assert update(tmp_path, written, check=True) == found
    assert update(tmp_path, written, check=False) == found
    assert update(tmp_path, written, check=True) == []
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["README.md", "one.yaml", "two.yaml"]
