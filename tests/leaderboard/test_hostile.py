"""One record full of other people's syntax, through every sink; and ten thousand damaged records."""

from __future__ import annotations

import argparse
import copy
import csv
import io
import json
import random
import re
import shlex
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.escape import csv_cell, github_data, github_property, latex, markdown, xml
from robust_unlearn_bench.leaderboard.gate.report import as_annotations, as_junit, as_markdown
from robust_unlearn_bench.leaderboard.gate.result import Result
from robust_unlearn_bench.leaderboard.page.export import table_text
from robust_unlearn_bench.leaderboard.page.row_view import rerun
from robust_unlearn_bench.leaderboard.page.site import render
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.events import Event, Standing
from robust_unlearn_bench.leaderboard.record.schema import Record
from robust_unlearn_bench.leaderboard.record.sealing import parse_record, seal
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.scorer import score

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></script><svg onload=alert(1)>",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(1)",
    "::error::owned",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "[x](javascript:alert(1)) `code` | cell | **b**",
    "\\input{/etc/passwd} $x$ %",
    "]]> <!-- -- >",
    "a; rm -rf ~ $(id) `id` 'q' \"q\"",
    "W" * 80,
    "Ω é 漢字 🙂",
]
INVISIBLE = ["\u202eevil", "a\u2066b", "a\u2028b", "a\x00b", "a\x1b[31m", "a\u200bb", "\ufeffa", "\ud800"]


def dressed(entry: Entry, text: str) -> Entry:
    """The entry with the text in every free-form field of its record."""
    told = {key: getattr(entry.record, key) for key in type(entry.record).model_fields if key != "submission_id"}
    method = told["method"].model_copy(
        update={"selected_on": text, "precision": text, "defends_against": [text], "hyperparameters": {"x": text},
                "code_commit": text, "name": text}
    )  # fmt: skip
    attacks = [a.model_copy(update={"diagnostics": [{"flags": [text]}], "digest": text}) for a in told["attacks"]]
    environment = told["environment"].model_copy(update={"device": text})
    more = {"display_name": text, "method": method, "attacks": attacks, "environment": environment}
    standing = Standing(
        "recomputed",
        "quarantined",
        (Event(at="2026-01-05T00:00:00Z", by=text, reason=text, state="quarantined"),),
    )
    return Entry(seal(**{**told, **more}), entry.items, standing)


@pytest.fixture(scope="module")
def board(cast: dict[str, Entry]) -> Board:
    rows = [dressed(cast["adam"], text) for text in HOSTILE]
    return score(rows, cast["target"], cast["retrain"], replicates=100)


class Elements(HTMLParser):
    """Tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_holds_the_text_and_nothing_of_its_markup(board: Board, cast: dict[str, Entry]) -> None:
    harmless = render([score([cast["adam"]], cast["target"], cast["retrain"], replicates=100)])
    allowed = {tag for name, page in harmless.items() if name.endswith(".html") for tag in Elements(page.decode()).tags}
    seen = ""
    for name, raw in render([board]).items():
        if not name.endswith(".html"):
            continue
        page = Elements(raw.decode())
        assert set(page.tags) <= allowed | {"br"}, name
        assert page.tags.count("script") == (name == "index.html")
        assert not [key for key, _ in page.attributes if key.startswith("on") or key == "style"]
        for key, value in page.attributes:
            if key == "href":
                assert re.match(r"(https://|data:,$|[a-z0-9./#_-]+)", value, re.IGNORECASE), value
                assert "javascript" not in value
        seen += page.text
    for text in HOSTILE:
        assert text in seen


def test_the_command_to_run_again_is_one_word_for_the_shell(board: Board) -> None:
    for row in board.rows:
        words = shlex.split(str(rerun(row.record, row.record.runs["relearn50"].id)))
        assert words[:6] == ["lm_eval", "--tasks", "nano_books__relearn50", "--model", "hf", "--model_args"]
        assert json.loads(words[6])["pretrained"] == row.record.model.name
        assert len(words) == 10


SPLITTING = [text for text in HOSTILE if not text.isalnum()]
SPLITTING += ["org/model,trust_remote_code=True", "a=b", "a b", "../up", "-x", "", "a\n"]


@pytest.mark.parametrize("text", SPLITTING)
@pytest.mark.parametrize("field", ["name", "revision", "dtype", "base", "adapter"])
def test_what_a_command_is_printed_with_holds_nothing_that_splits(
    cast: dict[str, Entry], field: str, text: str
) -> None:
    fields = _fields(cast["adam"])
    with pytest.raises(RecordError, match=rf"model\.{field}"):
        seal(**{**fields, "model": {**fields["model"], field: text}})


@pytest.mark.parametrize("revision", [None, "abc", "refs/pr/1"])
def test_lm_eval_reads_the_printed_arguments_as_they_are_meant(cast: dict[str, Entry], revision: str | None) -> None:
    """Through lm-eval's own parser: nothing of a name, revision or dtype becomes an option."""
    from lm_eval._cli.utils import MergeDictAction

    fields = _fields(cast["adam"])
    record = seal(**{**fields, "model": {**fields["model"], "name": "org/model", "revision": revision}})
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_args", nargs="+", action=MergeDictAction)
    words = shlex.split(str(rerun(record, record.runs["relearn50"].id)))
    read = parser.parse_args(words[5:7]).model_args
    wanted = {"pretrained": "org/model", "dtype": "float32", "use_safetensors": True, "trust_remote_code": False}
    assert read == {**wanted, **({"revision": revision} if revision else {})}


def test_csv_has_no_formula_and_every_line_its_columns(board: Board) -> None:
    from robust_unlearn_bench.leaderboard.page.export import board_csv

    lines = list(csv.reader(io.StringIO(board_csv([board]).decode())))
    assert len({len(line) for line in lines}) == 1
    for line in lines[1:]:
        for cell in line:
            assert cell[:1] not in "=+@" or not cell
            if cell[:1] == "-":
                float(cell)


def test_json_round_trips(board: Board) -> None:
    from robust_unlearn_bench.leaderboard.page.export import board_json

    rows = json.loads(board_json([board]))["boards"][0]["rows"]
    assert set(HOSTILE) <= {row["display_name"] for row in rows}


def test_markdown_and_latex_stay_one_table(board: Board) -> None:
    lines = table_text(board, "markdown").splitlines()
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert len(cells) == 1
    assert "<script" not in table_text(board, "markdown")
    assert "](" not in table_text(board, "markdown").replace("\\](", "").replace("]\\(", "")
    assert r"\input" not in table_text(board, "latex")


@pytest.mark.parametrize("text", [*HOSTILE, "a\nb", "a\r\n::error::b", "a\u2028b", "\x00\x1b"])
def test_escapes(text: str) -> None:
    assert csv_cell(text)[:1] not in ("=", "+", "-", "@")
    assert not re.search(r"[\r\n\u2028]", csv_cell(text) + markdown(text) + latex(text) + github_data(text))
    assert not re.search("[:,]", github_property(text))
    ET.fromstring(ET.tostring(ET.Element("x", message=xml(text))))


@pytest.mark.parametrize("text", [" =1+1", "\t=1+1", "  +1", '"=1+1', "'@x", "\ufeff=1", "＝1", "|cmd", " %x"])
def test_formulas_behind_spaces_and_quotes_stay_text(text: str) -> None:
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize("text", ["a;=1+1", "a\t=1+1", "a;@x", ";=cmd|' /C calc'!A0"])
def test_no_cell_falls_apart_into_another_with_a_formula(text: str) -> None:
    parts = re.split("[;\t]", csv_cell(text))
    assert len(parts) == 1
    assert csv_cell("plain text") == "plain text"


@pytest.mark.parametrize("text", HOSTILE)
def test_gate_reports_survive(text: str) -> None:
    result = Result(text, text, (), (text + "\n::error::second",))
    assert as_annotations(result).count("\n") == 1
    assert ET.fromstring(as_junit(result)).find("testcase/error") is not None
    assert "<script" not in as_markdown(result)


@pytest.mark.parametrize("text", INVISIBLE)
def test_invisible_characters_never_get_in(cast: dict[str, Entry], text: str) -> None:
    with pytest.raises(RecordError, match="display_name"):
        seal(**{**_fields(cast["adam"]), "display_name": text})


# --- damaged records -------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**53, 2**70, 1.5, -0.0, 1e308, "", "x", "0" * 64, "<b>", "../x", "a" * 500, "\u202e",
    [], {}, [[]], [None], {"": 1}, {"a": {"b": {"c": {}}}}, "2026-01-01T00:00:00Z", "https://x", "javascript:1",
]  # fmt: skip


def _fields(entry: Entry) -> dict[str, Any]:
    told: dict[str, Any] = entry.record.model_dump(mode="json")
    told.pop("submission_id")
    return told


def _mutate(value: Any, rng: random.Random) -> Any:
    """One random change somewhere in a JSON value."""
    spots: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        children = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, child in children:
            spots.append((part, key))
            walk(child)

    walk(value)
    holder, key = rng.choice(spots)
    what = rng.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(["extra", "__class__", "", "limit", "\n", "a" * 200])] = rng.choice(VALUES)
    elif what == 2 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif what == 3 and isinstance(holder[key], str):
        holder[key] += rng.choice([" ", "\u0000", "\u2028", "é", "<", "'"])
    elif what == 4 and isinstance(holder[key], (int, float)):
        holder[key] = rng.choice([-1, 1.0000001, 10**9, -(10**9), str(holder[key])])
    else:
        holder[key] = rng.choice(VALUES)
    return value


def _attack_with_damaged_records(entry: Entry, cases: int, seed: int) -> tuple[int, int]:
    """(accepted, refused); raises whatever a crash raises."""
    rng = random.Random(seed)
    good = _fields(entry)
    raw = entry.record.json_bytes()
    accepted = refused = 0
    for case in range(cases):
        try:
            if case % 3 == 0:  # bytes
                damaged = bytearray(raw)
                for _ in range(rng.randrange(1, 4)):
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
                record = parse_record(bytes(damaged), "file.json")
            else:  # structure
                told = copy.deepcopy(good)
                for _ in range(rng.randrange(1, 3)):
                    told = _mutate(told, rng)
                record = seal(**told)
        except RecordError as error:
            refused += 1
            message = str(error)
            assert message.isprintable(), message
            assert len(message) < 700, message
            assert re.search(r"[a-z_]+|line \d+|byte \d+", message.split(":", 1)[-1]), message
        else:
            accepted += 1
            assert parse_record(record.json_bytes(), "again") == record
            _hold_invariants(record)
    return accepted, refused


def _hold_invariants(record: Record) -> None:
    cells = [(r.task, r.metric, r.attack, r.seed) for r in record.results]
    assert len(cells) == len(set(cells))
    for result in record.results:
        spec = record.suite.tasks[result.task].metrics[result.metric]
        assert result.value is None or spec.role not in ("forget", "utility") or 0 <= result.value <= 1
    assert record.suite.limit is None
    assert record.display_name.isprintable()
    assert record.display_name.strip()


def test_damaged_records_are_refused_in_a_sentence(cast: dict[str, Entry]) -> None:
    accepted, refused = _attack_with_damaged_records(cast["adam"], 600, 0)
    assert refused > accepted > 0


@pytest.mark.slow
def test_ten_thousand_damaged_records(cast: dict[str, Entry]) -> None:
    accepted, refused = _attack_with_damaged_records(cast["adam"], 10_000, 1)
    assert accepted + refused == 10_000
