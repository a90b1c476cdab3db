from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites import SUITES


@pytest.mark.parametrize("domain", ["bio", "cyber"])
def test_corpora_of_a_mirror(mirror: Path, domain: str) -> None:
    with (mirror / "wmdp/wikitext.jsonl").open("w") as file:
        file.write('{"text": ""}\n{"text": " = Heading = "}\n{"text": "' + "words " * 20 + '"}\n')
    suite = SUITES[f"wmdp_{domain}"]
    corpora = suite.corpora(suite.source(str(mirror)))
    assert len(corpora.forget) == 6
    assert corpora.forget.texts[0].startswith(f"{domain}-forget-corpus 0")
    assert corpora.retain.texts == ["words " * 20]


def test_chemistry_has_no_forget_text_and_no_relearning(mirror: Path) -> None:
    suite = SUITES["wmdp_chem"]
    assert len(suite.corpora(suite.source(str(mirror))).forget) == 0
    assert not any("relearn" in attack for attack in suite.attacks)


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ("wmdp-bio", ("cais/wmdp", "wmdp-bio")),
        ("mmlu", ("cais/mmlu", "all")),
        ("bio-forget-corpus", ("cais/wmdp-bio-forget-corpus", None)),
        ("cyber-forget-corpus", ("cais/wmdp-corpora", "cyber-forget-corpus")),
        ("wikitext", ("Salesforce/wikitext", "wikitext-2-raw-v1")),
    ],
)
def test_a_gated_set_says_how_to_get_access(
    monkeypatch: pytest.MonkeyPatch, config: str, asked: tuple[str, str | None]
) -> None:
    def load(*args: Any, split: str) -> Any:
        assert args == asked
        raise PermissionError("gated repository")

    module = types.ModuleType("datasets")
    module.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.delenv("RUB_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        SUITES["wmdp_bio"].source(None).rows(config, "train")
    message = str(caught.value)
    assert f"open https://huggingface.co/datasets/{asked[0]} once to be granted access, log in" in message
    assert "or set RUB_DATA to a folder with wmdp/wmdp-bio.jsonl" in message
