"""The straight line between two models: exact at its ends, its barrier by hand, its plot well formed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from robust_unlearn_bench.cli import app
from robust_unlearn_bench.errors import ConfigError, ModelError, UnknownNameError
from robust_unlearn_bench.harness.connectivity import barrier, linear_connectivity, move_between, plot, refuse_different
from robust_unlearn_bench.harness.evaluate import evaluate
from robust_unlearn_bench.models import checkpoint as checkpoints


def test_ends_are_exact_and_the_middle_is_the_mean(tiny_llama: Any) -> None:
    model, other = tiny_llama(seed=1, tied=True), tiny_llama(seed=2, tied=True)
    a = {n: p.detach().clone() for n, p in model.named_parameters()}
    b = {n: p.detach().clone() for n, p in other.named_parameters()}
    for t, expected in ((1.0, b), (0.0, a)):
        move_between(model, a, b, t)
        assert all(torch.equal(p, expected[n]) for n, p in model.named_parameters())
    move_between(model, a, b, 0.5)
    for n, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), (a[n] + b[n]) / 2)


def test_models_of_different_shape(tiny_llama: Any) -> None:
    a = {n: p.detach() for n, p in tiny_llama().named_parameters()}
    fewer = {n: p for n, p in a.items() if n != "lm_head.weight"}
    for one, two in ((a, fewer), (fewer, a), (a, {**a, "lm_head.weight": a["lm_head.weight"][:-1]})):
        with pytest.raises(ModelError, match=r"differ at lm_head\.weight"):
            refuse_different(one, two)
    refuse_different(a, dict(a))


def test_barrier_by_hand() -> None:
    """Ends .2 and .6, so .4 is expected half way; .3 there is .1 behind if higher is better, and ahead if lower is."""
    assert barrier([0, 0.5, 1], [0.2, 0.3, 0.6], True) == pytest.approx(0.1)
    assert barrier([0, 0.5, 1], [0.2, 0.3, 0.6], False) == 0.0
    assert barrier([0, 0.5, 1], [0.2, 0.7, 0.6], False) == pytest.approx(0.3)
    assert barrier([0, 0.5, 1], [0.2, None, 0.6], True) is None


def test_plot_is_an_svg_with_one_line_a_metric() -> None:
    svg = plot([0, 0.5, 1], {"verbmem/x": [0.0, 1.4, 1.0], "knowmem<y>": [0.5, None, 0.5]}, "a & b")
    root = ElementTree.fromstring(svg)
    paths = [e.attrib["d"] for e in root.iter("{http://www.w3.org/2000/svg}path") if e.attrib.get("fill") == "none"]
    assert len(paths) == 2
    assert "NaN" not in svg
    assert paths[0].split("L")[1].endswith(" 34.0"), "values above 1 lie on the upper edge"


@pytest.fixture
def pair(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> tuple[Path, Path]:
    """Two random models in folders."""
    for name, seed in (("a", 1), ("b", 2)):
        checkpoint = checkpoints.Checkpoint(tiny_llama(seed=seed, window=512), tiny_tokenizer)
        checkpoints.save(checkpoint, tmp_path / name, {})
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.slow
def test_command_evaluates_the_line_through_the_harness(
    pair: tuple[Path, Path], mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ends are what `rub eval` gives for A and B, the middle what it gives for a checkpoint of the mean weights."""
    a, b = pair
    arguments = ["--suite", "muse_books", "--points", "3", "--out", str(tmp_path / "out"), "--data-dir", str(mirror)]
    app(["lmc", str(a), str(b), *arguments], standalone_mode=False)
    assert "lmc.svg" in capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "lmc.json").read_text())
    assert told["t"] == [0.0, 0.5, 1.0]
    assert told["metrics"].keys() == {
        "verbmem/rougeL_f1", "knowmem_forget/rougeL_f1", "knowmem_retain/rougeL_f1", "extraction/es"
    }  # fmt: skip
    assert max(line[1] for line in told["metrics"].values()) > 0
    mean, other = checkpoints.load(a), checkpoints.load(b)
    with torch.no_grad():
        for p, q in zip(mean.model.parameters(), other.model.parameters(), strict=True):
            p.copy_((p + q) / 2)
    checkpoints.save(mean, tmp_path / "mean", {})
    for i, folder in enumerate((a, tmp_path / "mean", b)):
        direct = evaluate(
            "hf", {"pretrained": str(folder), "dtype": "float32"}, ["muse_books"], metadata={"data_dir": str(mirror)}
        )["results"]
        for name, line in told["metrics"].items():
            leaf, metric = name.split("/")
            assert line[i] == pytest.approx(direct[f"muse_books_{leaf}"][f"{metric},none"], abs=1e-6), (name, i)
    ElementTree.fromstring((tmp_path / "out" / "lmc.svg").read_text())


def test_bad_input_is_one_sentence(
    pair: tuple[Path, Path], tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    a, b = pair
    out = tmp_path / "out"
    with pytest.raises(UnknownNameError, match="unknown suite 'wmdp_boi': did you mean 'wmdp_bio'"):
        linear_connectivity(a, b, "wmdp_boi", out)
    with pytest.raises(ConfigError, match="points is 1: give at least 2"):
        linear_connectivity(a, b, "wmdp_bio", out, points=1)
    with pytest.raises(ModelError, match="cannot be loaded"):
        linear_connectivity(a, tmp_path / "nothing", "wmdp_bio", out)
    checkpoints.save(checkpoints.Checkpoint(tiny_llama(tied=True, window=512), tiny_tokenizer), tmp_path / "tied", {})
    with pytest.raises(ModelError, match=r"differ at lm_head\.weight"):
        linear_connectivity(a, tmp_path / "tied", "wmdp_bio", out)
    shutil.copytree(b, tmp_path / "renamed")
    words = tmp_path / "renamed" / "tokenizer.json"
    words.write_text(words.read_text().replace('"<pad>"', '"<gap>"'))
    with pytest.raises(ModelError, match="different tokenizers"):
        linear_connectivity(a, tmp_path / "renamed", "wmdp_bio", out)
    assert not out.exists()
