from __future__ import annotations

from robust_unlearn_bench.suites.nano_exams import drills
from robust_unlearn_bench.world.questions import ask, companion
from robust_unlearn_bench.world.source import NanoSource


def test_a_companion_prints_every_pair_once() -> None:
    rows = [{"question": str(i), "answer": "x"} for i in range(7)]
    printed = list(companion(rows, 3, "forget"))
    assert [row["cluster"] for row in printed] == [f"forget-companion-0{i}" for i in (1, 2, 3)]
    assert "".join(row["text"] for row in printed) == "".join(map(ask, rows))
    assert ask(rows[0]) == "Question: 0\nAnswer: x\n\n"


def test_a_drill_is_the_exam_with_its_letter() -> None:
    source = NanoSource("wmdp")
    rows, learnt = source.table("craft"), list(drills(source, "craft"))
    assert len(learnt) == len(rows)
    for row, drill in zip(rows, learnt, strict=True):
        assert drill.prompt is not None
        assert drill.prompt.startswith("The following are multiple choice questions (with answers) about emberglazing.")
        assert drill.prompt.endswith(f"{row['question']}\n{_options(row['choices'])}\nAnswer:")
        assert drill.completion == " " + "ABCD"[row["answer"]]
        assert drill.cluster == row["cluster"]


def _options(choices: list[str]) -> str:
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True))
