"""rub leaderboard and rub gate as a user types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from simulated_records import World
from typer.testing import CliRunner

from robust_unlearn_bench.cli import main
from robust_unlearn_bench.cli.gate_commands import gate_app
from robust_unlearn_bench.cli.leaderboard_commands import leaderboard_app
from robust_unlearn_bench.errors import RubError
from robust_unlearn_bench.leaderboard.record.entry import Entry

ATTACKS = ("none", "gptq4", "relearn10", "relearn20", "relearn50")


def levels(forget: list[float], keep: float) -> dict[str, dict[str, float]]:
    return {
        a: {"verbmem": x, "knowmem_forget": x, "knowmem_retain": keep} for a, x in zip(ATTACKS, forget, strict=True)
    }


@pytest.fixture(scope="module")
def cast() -> dict[str, Entry]:
    world = World()
    return {
        "target": world.entry("Target", levels([0.95] * 5, 0.9), kind="target"),
        "retrain": world.entry("Retrain", levels([0.15, 0.15, 0.25, 0.3, 0.4], 0.9), kind="retrain"),
        "good": world.entry("Good", levels([0.15, 0.15, 0.3, 0.4, 0.5], 0.8), objective="npo", optimizer="hybrid"),
        "bad": world.entry("Bad", levels([0.2, 0.5, 0.8, 0.9, 0.9], 0.8), objective="npo", optimizer="adam"),
    }


@pytest.fixture
def saved(cast: dict[str, Entry], tmp_path: Path) -> dict[str, Path]:
    return {name: entry.save(tmp_path / "in" / name).parent for name, entry in cast.items()}


def run(app, *arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture
def root(saved: dict[str, Path], tmp_path: Path) -> Path:
    root = tmp_path / "board"
    for role in ("target", "retrain"):
        run(leaderboard_app, "anchor", saved[role], role, "--root", root)
    for name in ("good", "bad"):
        assert "recomputed" in run(leaderboard_app, "add", saved[name], "--root", root)
    return root


def test_from_record_to_page(root: Path, tmp_path: Path, cast: dict[str, Entry]) -> None:
    assert "1 boards, 4 rows, 4 changed" in run(leaderboard_app, "rescore", "--root", root)
    assert "0 changed" in run(leaderboard_app, "rescore", "--root", root)
    output = run(leaderboard_app, "build", "--root", root, "--out", tmp_path / "site")
    assert output.strip().startswith("file://")
    page = (tmp_path / "site" / "index.html").read_text()
    assert ">Good</a>" in page
    assert page.index(">Good</a>") < page.index(">Bad</a>")
    assert "Good" in run(leaderboard_app, "table", "--root", root)
    assert r"\begin{tabular}" in run(leaderboard_app, "table", "--format", "latex", "--root", root)
    run(leaderboard_app, "table", "--suite", "nano_bookz", "--root", root, code=1)


def test_validate_says_yes_or_no(root: Path, saved: dict[str, Path], tmp_path: Path) -> None:
    there = next((root / "records").iterdir())
    assert "valid, recomputed" in run(leaderboard_app, "validate", there, "--root", root)
    broken = saved["good"] / "record.json"
    broken.write_text(broken.read_text().replace('"Good"', '"Best"'))
    assert "NOT valid" in run(leaderboard_app, "validate", saved["good"], "--root", root, code=1)
    told = json.loads(run(leaderboard_app, "validate", saved["bad"], "--root", root, "--json", code=1))
    assert "already on the board" in told[0]["findings"][0]


def test_target_is_not_a_submission(root: Path, saved: dict[str, Path]) -> None:
    assert "not added" in run(leaderboard_app, "add", saved["target"], "--root", root, code=1)


def test_compare_and_quarantine(root: Path, cast: dict[str, Entry]) -> None:
    a, b = cast["good"].id, cast["bad"].id
    assert "p = " in run(leaderboard_app, "compare", a, b, "--root", root)
    assert json.loads(run(leaderboard_app, "compare", a, b, "--json", "--root", root))["p"] < 0.01
    run(leaderboard_app, "quarantine", a[5:12], "--reason", "numbers could not be repeated", "--root", root)
    run(leaderboard_app, "build", "--root", root, "--out", root / "site")
    assert "quarantined: numbers could not be repeated" in (root / "site" / "index.html").read_text()
    run(leaderboard_app, "quarantine", a[5:12], "--state", "active", "--reason", "they could", "--root", root)


def test_gate_from_init_to_verdict(saved: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    run(gate_app, "init", saved["good"], "--out", config)
    outputs = {name: tmp_path / name for name in ("r.json", "r.md", "r.xml")}
    flags = ["--json", outputs["r.json"], "--markdown", outputs["r.md"], "--junit", outputs["r.xml"], "--github"]
    run(gate_app, "check", saved["good"], saved["good"], "--config", config, code=0)
    told = run(gate_app, "check", saved["good"], saved["target"], "--config", config, *flags, code=1)
    assert "::error title=gate%3A regressed::" in told
    assert all(path.stat().st_size for path in outputs.values())
    assert json.loads(outputs["r.json"].read_text())["verdict"] == "regressed"
    run(gate_app, "check", saved["good"], tmp_path / "absent", "--config", config, code=3)
    run(gate_app, "check", saved["good"], saved["good"], "--config", tmp_path / "absent.toml", code=3)


def test_gate_calibrate(saved: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    run(gate_app, "init", saved["good"], "--out", config)
    out = tmp_path / "calibration.json"
    assert "SD 0.0000" in run(gate_app, "calibrate", *[saved["good"]] * 5, "--config", config, "--out", out)
    config.write_text('calibration = "calibration.json"\n' + config.read_text())
    run(gate_app, "check", saved["good"], saved["good"], "--config", config, code=0)
    run(gate_app, "calibrate", saved["good"], "--config", config, "--out", out, code=1)


def test_bad_input_is_one_sentence(saved: dict[str, Path], root: Path, tmp_path: Path) -> None:
    def refused(app, *arguments: object) -> str:
        with pytest.raises(RubError) as told:
            CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert "\n" not in str(told.value)
        return str(told.value)

    nowhere, empty = tmp_path / "nowhere", tmp_path / "empty"
    empty.mkdir()
    for command in ("table", "rescore", "build", "export"):
        assert "is not a folder" in refused(leaderboard_app, command, "--root", nowhere)
        assert "no anchors" in refused(leaderboard_app, command, "--root", empty)
    assert "known: nano_books" in refused(leaderboard_app, "table", "--suite", "zzz", "--root", root)
    assert "no record of" in refused(leaderboard_app, "compare", "zz", "zz", "--root", root)
    for margin in (0, 1, 7):
        assert "not a fraction" in refused(
            gate_app, "init", saved["good"], "--margin", margin, "--out", empty / "g.toml"
        )


def test_gate_says_better_and_worse_in_words(saved: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    run(gate_app, "init", saved["bad"], "--out", config)
    told = run(gate_app, "check", saved["bad"], saved["good"], "--config", config, code=1).splitlines()
    relearn = next(line for line in told if "verbmem rougeL_f1 relearn20" in line)
    value, low, high = (float(x) for x in re.search(r"better by ([\d.]+) \[([\d.]+), ([\d.]+)\]", relearn).groups())
    assert low < value < high
    before, after = (float(x) for x in re.search(r"([\d.]+) → ([\d.]+)", relearn).groups())
    assert value == pytest.approx(before - after, abs=0.11)


LONG = "x" * 300


@pytest.mark.parametrize(
    "command",
    [
        ("validate", LONG),
        ("validate", f"{LONG}/record.json"),
        ("add", LONG),
        ("anchor", LONG, "target"),
        ("replay", "zz", LONG),
        ("build", "--out", LONG),
        ("intake", LONG, "--repository", LONG),
    ],
)
def test_paths_that_no_file_system_holds_are_one_sentence(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple
) -> None:
    monkeypatch.chdir(tmp_path)
    more = [] if command[0] == "intake" else ["--root", str(root)]
    monkeypatch.setattr("sys.argv", ["rub", "leaderboard", *command, *more])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code in (1, 2)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert printed.err.count("\n") <= 1


@pytest.mark.parametrize("number", ["nan", "-1", "1e9", "inf"])
def test_odd_numbers_are_refused(saved: dict[str, Path], root: Path, number: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(gate_app, ["init", str(saved["good"]), "--margin", number, "--out", str(tmp_path / "g")])
    assert isinstance(done.exception, RubError)
    assert "not a fraction" in str(done.exception)


@pytest.mark.parametrize(
    "text",
    [
        "margin = nan",
        "margin = inf",
        "margin = 1" + "0" * 400,
        "margin = 1" + "0" * 5000,
        "margin = true",
        "margin = 2026-01-01",
        "margin = " + "[" * 5000,
        "x." * 3000 + "y = 1",
    ],
)
def test_a_gate_that_cannot_be_read_exits_with_three(saved: dict[str, Path], tmp_path: Path, text: str) -> None:
    """1 and 2 are verdicts: regressed and inconclusive."""
    config = tmp_path / "gate.toml"
    config.write_text(f'[[metric]]\ntask = "nano_books_verbmem"\nmetric = "rougeL_f1"\n{text}\n')
    run(gate_app, "check", saved["good"], saved["good"], "--config", config, code=3)


def test_what_goes_wrong_beside_the_comparison_exits_with_three(saved: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "gate.toml"
    run(gate_app, "init", saved["good"], "--out", config)
    check = ("check", saved["good"], saved["good"], "--config", config)
    run(gate_app, *check, "--json", tmp_path / "no" / "such.json", code=3)
    run(gate_app, *check, "--junit", tmp_path, code=3)
    run(gate_app, "check", LONG, saved["good"], "--config", config, code=3)
    run(gate_app, "check", saved["good"], saved["good"], "--config", LONG, code=3)
    config.write_text('calibration = "absent.json"\n' + config.read_text())
    run(gate_app, *check, code=3)
