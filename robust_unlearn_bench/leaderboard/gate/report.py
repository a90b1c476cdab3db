"""A gate's result for people, machines and CI: text, JSON, Markdown, JUnit XML, GitHub annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from xml.etree import ElementTree as ET

from ..escape import github_data, github_property, markdown, xml
from ..record.strict_json import pretty
from .result import MARKS, Result

__all__ = ["as_annotations", "as_json", "as_junit", "as_markdown"]

_PER_LEVEL = 10
"""GitHub shows at most ten annotations of one level in a step."""


def as_json(result: Result) -> bytes:
    """Everything, for machines."""
    checks = [{**asdict(check), "gated": check.gated.model_dump(mode="json")} for check in result.checks]
    return pretty(
        {
            "verdict": result.verdict,
            "exit_code": result.exit_code,
            "baseline": result.baseline,
            "candidate": result.candidate,
            "inconclusive": result.policy,
            "errors": list(result.errors),
            "checks": checks,
        }
    )


def as_markdown(result: Result) -> str:
    """A job summary."""
    lines = [f"### Unlearning gate: {result.verdict}", ""]
    lines += [f"{markdown(result.candidate)} against {markdown(result.baseline)}", ""]
    lines += [f"- {markdown(error)}" for error in result.errors]
    if result.checks:
        lines += ["| | task | metric | attack | baseline | candidate | worse by | bounds | margin |"]
        lines += ["|---|---|---|---|--:|--:|--:|--:|--:|"]
    for check in result.checks:
        gated = check.gated
        cells = [f"{MARKS[check.verdict]} {check.verdict}", *map(markdown, (gated.task, gated.metric, gated.attack))]
        cells += [f"{100 * check.baseline:.1f}", f"{100 * check.candidate:.1f}", f"{100 * check.worse_by:+.1f}"]
        cells += [f"{100 * check.low:+.1f} to {100 * check.high:+.1f}", f"{100 * gated.margin:g}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_junit(result: Result) -> bytes:
    """JUnit XML: a regression is a failure, an invalid comparison an error, an inconclusive metric fails or is skipped."""
    counts = Counter(check.verdict for check in result.checks)
    failed = counts["regressed"] + (counts["inconclusive"] if result.policy == "fail" else 0)
    suite = ET.Element(
        "testsuite",
        name="unlearning gate",
        tests=str(max(len(result.checks), len(result.errors))),
        failures=str(failed),
        errors=str(len(result.errors)),
        skipped=str(counts["inconclusive"] if result.policy == "warn" else 0),
    )
    for error in result.errors:
        case = ET.SubElement(suite, "testcase", classname="gate", name="comparable")
        ET.SubElement(case, "error", message=xml(error))
    for check in result.checks:
        gated = check.gated
        case = ET.SubElement(
            suite, "testcase", classname=f"gate.{gated.task}", name=f"{gated.metric} under {gated.attack}"
        )
        if check.verdict == "regressed" or (check.verdict == "inconclusive" and result.policy == "fail"):
            ET.SubElement(case, "failure", type=check.verdict, message=xml(check.sentence))
        elif check.verdict == "inconclusive":
            ET.SubElement(case, "skipped", message=xml(check.sentence))
        else:
            ET.SubElement(case, "system-out").text = xml(check.sentence)
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def as_annotations(result: Result) -> str:
    """GitHub workflow commands, worst first, at most ten a level."""
    commands: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for error in result.errors:
        commands["error"].append(_command("error", "gate: invalid", error))
    for check in result.checks:
        failing = check.verdict == "regressed" or (check.verdict == "inconclusive" and result.policy == "fail")
        level = "error" if failing else "notice" if check.verdict == "held" else "warning"
        commands[level].append(_command(level, f"gate: {check.verdict}", check.sentence))
    return "".join(line + "\n" for lines in commands.values() for line in lines[:_PER_LEVEL])


def _command(level: str, title: str, text: str) -> str:
    return f"::{level} title={github_property(title)}::{github_data(text)}"
