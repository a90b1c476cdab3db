"""The files of the repository that are written from the code.

python -m robust_unlearn_bench.generated             # writes what is out of date (`make generated`)
python -m robust_unlearn_bench.generated --check     # only says so; exit code 1 when anything is

tasks/**/*.yaml                     from the suites
baselines/*/*.md                    cards, from the recipes
docs/attacks.md, docs/unlearning.md from the registries and docstrings
leaderboard/schema/record-v1.json   from the record
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Written", "update", "written_files"]


class Written(NamedTuple):
    """Files that one generator writes.

    Attributes:
        pattern: everything that matches it is written by the generator; what it no longer writes is removed.
        files: path → content, both relative to the root of the repository.
    """

    pattern: str
    files: Mapping[str, str]


def written_files() -> Iterator[Written]:
    """What every generator writes."""
    from .attacks.attack_handbook import attack_handbook
    from .harness.task_yaml import task_files, utility_files
    from .leaderboard.record.sealing import json_schema
    from .leaderboard.record.strict_json import pretty
    from .paths import baselines_dir
    from .registry import BUILT_IN
    from .suites import SUITES
    from .unlearn.handbook import handbook
    from .unlearn.recipe import load_recipe, recipe_files
    from .unlearn.recipe_card import recipe_card

    suites = [name for name in SUITES if SUITES.origin(name) == BUILT_IN]
    tasks = {**task_files(suites), **utility_files()}
    yield Written("tasks/**/*.yaml", {f"tasks/{path}": text for path, text in tasks.items()})
    recipes = [name for name, path in recipe_files().items() if path.is_relative_to(baselines_dir())]
    cards = {f"baselines/{name}.md": recipe_card(name, load_recipe(name)) for name in recipes}
    yield Written("baselines/*/*.md", cards)
    yield Written("docs/attacks.md", {"docs/attacks.md": attack_handbook()})
    yield Written("docs/unlearning.md", {"docs/unlearning.md": handbook()})
    schema = "leaderboard/schema/record-v1.json"
    yield Written(schema, {schema: pretty(json_schema()).decode()})


def update(root: Path, written: Written, *, check: bool) -> list[str]:
    """Bring the files of one generator up to date, or only look.

    Args:
        root: folder of the repository.
        written: what the generator writes.
        check: whether nothing may be changed.

    Returns:
        What was (or would be) written or removed, as sentences.
    """
    present = {path.relative_to(root).as_posix(): path for path in root.glob(written.pattern)}
    found = []
    for name, text in written.files.items():
        if name not in present or present[name].read_bytes() != text.encode():
            found.append(f"{name} is {'out of date' if name in present else 'missing'}")
            if not check:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(text.encode())
    for name in sorted(present.keys() - written.files.keys()):
        found.append(f"{name} is written from nothing any more")
        if not check:
            present[name].unlink()
    return found


def _main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--check"]):
        print(__doc__)
        return 2
    check = bool(arguments)
    root = Path(__file__).resolve().parent.parent
    found = [sentence for written in written_files() for sentence in update(root, written, check=check)]
    print("\n".join(found) or "every generated file is up to date")
    return 1 if found and check else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
