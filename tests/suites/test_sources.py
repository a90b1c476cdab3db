from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites.sources import HubSource, MirrorSource, fetch, mirror_dir, read_rows


def mirror(root: Path) -> MirrorSource:
    files = lambda config, split: (f"{config}/{split}.json", f"{config}/{split}.txt")  # noqa: E731  # one line, used in this test alone
    return MirrorSource(root, files, "owner/Set", "a folder with qa/test.json")


def put(root: Path, text: str | bytes, name: str = "qa/test.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.json", '[{"q": "é"}, {"q": "b"}]', [{"q": "é"}, {"q": "b"}]),
        ("a.json", '{"q": "é"}\n\n{"q": "b\\u2028c"}\n', [{"q": "é"}, {"q": "b\u2028c"}]),
        ("a.jsonl", '{"q": "a\u2028b"}', [{"q": "a\u2028b"}]),
        ("a.json", '["one", "two"]', [{"text": "one"}, {"text": "two"}]),
        ("a.txt", "[not json]\n\nbut text", [{"text": "[not json]\n\nbut text"}]),
        ("a.json", "", []),
    ],
)
def test_reads_what_mirrors_hold(tmp_path: Path, name: str, text: str, rows: list[Any]) -> None:
    assert read_rows(put(tmp_path, text, name)) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'["caf\xe9"]', r"test\.json is not UTF-8 at byte 5; save it as UTF-8"),
        ('["a", ', r"test\.json is not valid JSON at line 1 \(.*\); download it again"),
        ('{"q": "a"}\n{"q": ', r"test\.json is not valid JSON at line 2"),
        ('["a", 3]', r"item 1 of .*test\.json is a int; an object or a string is needed"),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    put(tmp_path, text)
    with pytest.raises(DataError, match=message):
        mirror(tmp_path).rows("qa", "test")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("[]", r"qa/test of .* is empty; download it again"),
        ('[{"question": "a", "options": ["x"]}, {"question": "a"}]', r"row 1 of qa/test of .* has no column 'options'"),
        ('[{"question": 7, "options": ["x"]}]', r"row 0 .* has question='7'; a string is needed"),
        ('[{"question": "a", "options": "x"}]', r"row 0 .* has options='x'; a non-empty list of strings is needed"),
        ('[{"question": "a", "options": []}]', r"row 0 .* has options='\[\]'; a non-empty list"),
        ('[{"question": "a", "options": ["x", null]}]', r"row 0 .* a non-empty list of strings is needed"),
    ],
)
def test_a_bad_row_is_named_with_its_column(tmp_path: Path, rows: str, message: str) -> None:
    put(tmp_path, rows)
    with pytest.raises(DataError, match=message):
        fetch(mirror(tmp_path), "qa", "test", question=str, options=list)


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    put(tmp_path, '[{"extra": 1, "cluster": "k", "answer": "b", "question": "a"}]')
    (row,) = fetch(mirror(tmp_path), "qa", "test", question=str, answer=str)
    assert list(row.items()) == [("question", "a"), ("answer", "b"), ("cluster", "k")]


def test_missing_files_and_folders_name_both_remedies(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"qa/test of owner/Set is not in the local mirror: there is no .*qa/test\.json"
    ):
        mirror(tmp_path).rows("qa", "test")
    with pytest.raises(DataError, match=r"RUB_DATA=.*/nowhere is not a folder; .* unset it to read owner/Set from the"):
        mirror(tmp_path / "nowhere").rows("qa", "test")


def test_a_mirror_is_asked_for_by_argument_then_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_DATA", "/from/environment")
    assert mirror_dir("/from/argument") == Path("/from/argument")
    assert mirror_dir(None) == Path("/from/environment")
    monkeypatch.delenv("RUB_DATA")
    assert mirror_dir(None) is None


def fake_datasets(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_the_hub_is_asked_for_one_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(*args: Any, **kwargs: Any) -> list[dict[str, str]]:
        asked.append((args, kwargs))
        return [{"text": "a"}]

    fake_datasets(monkeypatch, load)
    assert HubSource("owner/Set", "a folder").rows("raw", "forget") == [{"text": "a"}]
    HubSource("owner/Set", "a folder").rows("", "train")
    assert asked == [(("owner/Set", "raw"), {"split": "forget"}), (("owner/Set", None), {"split": "train"})]


@pytest.mark.parametrize("access", ["", "ask for access at its page and log in"])
def test_a_hub_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch, access: str) -> None:
    def load(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no route\nto host")

    fake_datasets(monkeypatch, load)
    remedy = access or "check the network"
    with pytest.raises(DataError) as caught:
        HubSource("owner/Set", "a folder with x", access).rows("raw", "forget")
    assert str(caught.value) == (
        "raw/forget of owner/Set cannot be loaded from the Hugging Face hub (ConnectionError: no route); "
        f"{remedy}, or set RUB_DATA to a folder with x"
    )


def test_importing_every_suite_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "lm_eval", "datasets", "scipy", "rouge_score", "pydantic")
    code = (
        "import sys; from robust_unlearn_bench.suites import SUITES; [SUITES[n] for n in SUITES if n[:4] != 'nano']; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
