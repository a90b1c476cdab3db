"""The site as bytes; how it behaves in a browser is in test_browser.py."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from robust_unlearn_bench.leaderboard.page.row_view import page_name
from robust_unlearn_bench.leaderboard.page.site import _breakable, build_page, render
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.events import Event, Standing
from robust_unlearn_bench.leaderboard.record.reported import Reported, read_reported
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.board_table import percent
from robust_unlearn_bench.leaderboard.scoring.scorer import score


@pytest.fixture(scope="module")
def board(cast: dict[str, Entry]) -> Board:
    quarantined = Standing(
        "recomputed",
        "quarantined",
        (Event(at="2026-01-05T00:00:00Z", by="maintainers", reason="replay gave other numbers", state="quarantined"),),
    )
    rows = {**cast, "adam": replace(cast["adam"], standing=quarantined)}
    return score(list(rows.values()), cast["target"], cast["retrain"])


@pytest.fixture(scope="module")
def reported(root: Path) -> list[Reported]:
    return [read_reported(path) for path in sorted((root / "leaderboard" / "reported").glob("*.json"))]


@pytest.fixture(scope="module")
def site(board: Board, reported: list[Reported]) -> dict[str, str]:
    return {name: content.decode() for name, content in render([board], reported).items()}


class Page(HTMLParser):
    """Links, ids and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if "id" in told:
            self.ids.append(str(told["id"]))
        if tag == "a":
            self.links.append(str(told["href"]))
        elif "href" in told or "src" in told:
            self.loads.append(str(told.get("href") or told.get("src")))
        assert "style" not in told, "the content security policy forbids style attributes"
        assert not any(name.startswith("on") for name in told)


def test_equal_input_gives_equal_bytes(board: Board, reported: list[Reported]) -> None:
    assert render([board], reported) == render([board], reported)


def test_every_row_is_in_the_html_without_script(site: dict[str, str], cast: dict[str, Entry]) -> None:
    table = site["index.html"].partition("<script>")[0]
    for entry in cast.values():
        assert f">{entry.record.display_name}</a>" in table


def test_every_link_leads_somewhere(site: dict[str, str]) -> None:
    pages = {name: Page(text) for name, text in site.items() if name.endswith(".html")}
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), name
        assert page.loads == ["data:,"]
        for link in page.links:
            if link.startswith("https://"):
                continue
            path, _, fragment = link.partition("#")
            there = (Path(name).parent / path).as_posix() if path else name
            there = re.sub(r"[^/]+/\.\./", "", there)
            assert there in site, f"{name} links to {link}"
            if fragment:
                assert fragment in pages[there].ids, f"{name} links to {link}"


def test_the_policy_names_style_and_script_by_hash(site: dict[str, str]) -> None:
    for name, text in site.items():
        if not name.endswith(".html"):
            continue
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        assert policy[1].startswith("default-src &#39;none&#39;")
        for tag in ("style", "script"):
            for body in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL):
                assert b64encode(sha256(body.encode()).digest()).decode().replace("+", "+") in policy[1].replace(
                    "&#43;", "+"
                )


def test_quarantined_rows_stay_visible_and_unranked(site: dict[str, str], board: Board) -> None:
    row = next(row for row in board.rows if row.record.display_name == "NPO Adam")
    assert row.rank is None
    assert "quarantined: replay gave other numbers" in site["index.html"]


def test_published_numbers_have_a_page_of_their_own_with_their_caveats(site: dict[str, str]) -> None:
    assert "FP4 (not GPTQ) numbers published by Zhang et al. 2025" in site["published.html"]
    assert "Zhang et al." not in site["index.html"]
    assert ">99.8<" in site["published.html"]


def test_model_page_has_hashes_config_and_rerun_command(site: dict[str, str], cast: dict[str, Entry]) -> None:
    record = cast["hybrid"].record
    page = next(text for name, text in site.items() if name.startswith("m/") and "<h1>NPO Hybrid</h1>" in text)
    assert record.submission_id in page
    for task in record.suite.tasks.values():
        assert task.items is not None
        assert task.items.sha256 in page
    assert (
        "lm_eval --tasks nano_books__relearn50 --model hf --model_args &#39;{&#34;pretrained&#34;: &#34;npo-hybrid"
        in page
    )


def test_json_is_lossless_and_csv_agrees(site: dict[str, str], board: Board) -> None:
    data = json.loads(site["data/board.json"])["boards"][0]
    assert {row["submission_id"]: row["score"]["value"] for row in data["rows"]} == {
        row.entry.id: row.score.value for row in board.rows
    }
    lines = list(csv.DictReader(io.StringIO(site["data/board.csv"])))
    scores = {line["submission"]: line["value"] for line in lines if line["quantity"] == "score"}
    assert {key: float(value) for key, value in scores.items()} == {row.entry.id: row.score.value for row in board.rows}
    leak = next(x for x in lines if x["quantity"] == "leakage" and x["model"] == "NPO Adam" and x["attack"] == "gptq4")
    known, base, top = float(leak["measured"]), float(leak["retrain"]), float(leak["target_or_reference"])
    assert float(leak["value"]) == pytest.approx((known - base) / (top - base), abs=1e-12)


def test_an_empty_board_is_a_page(tmp_path: Path, reported: list[Reported]) -> None:
    assert build_page([], tmp_path, reported).is_file()


def test_reported_tables_match_the_reference(root: Path, shared: Path) -> None:
    paper = json.loads((shared / "reference" / "paper_tables.json").read_text())
    for key, name in (("table_A2_muse_books", "lang2026_muse_books"), ("table_A3_muse_news", "lang2026_muse_news")):
        table = read_reported(root / "leaderboard" / "reported" / f"{name}.json")
        for printed, row in zip(paper[key]["rows"], table.rows, strict=True):
            for column, value in printed.items():
                if column in ("objective", "optimizer"):
                    continue
                metric, _, attack = column.partition(".")
                attack = {"clean": "none", "": "none"}.get(attack, attack)
                assert row.values[metric][attack] == pytest.approx(value / 100)


def test_long_names_of_attacks_may_be_broken_and_short_ones_not() -> None:
    assert _breakable("relearn20_retain") == "relearn<wbr>20_<wbr>retain"
    assert [_breakable(name) for name in ("gptq4", "k50", "none")] == ["gptq4", "k50", "none"]
    assert _breakable("<b>_&") == "&lt;b&gt;_<wbr>&amp;"


def test_no_minus_before_a_zero() -> None:
    assert [percent(value) for value in (-0.0004, -0.0, 0.0, -0.0006, None)] == ["0.0", "0.0", "0.0", "-0.1", "–"]


def test_permalinks_hold_the_whole_id_and_old_ones_lead_there(site: dict[str, str], cast: dict[str, Entry]) -> None:
    """Forty bits of two records were made to collide in four seconds, and one page took the place of the other."""
    whole = cast["hybrid"].id.removeprefix("rub1-")
    assert f"m/{whole}.html" in site
    moved = site[f"m/{whole[:10]}.html"]
    assert f'<meta http-equiv="refresh" content="0; url={whole}.html">' in moved
    assert f'<a href="{whole}.html">NPO Hybrid</a>' in moved


def test_an_old_permalink_of_two_rows_names_both(cast: dict[str, Entry]) -> None:
    board = score([cast["adam"], cast["hybrid"]], cast["target"], cast["retrain"], replicates=100)
    ids = {"NPO Adam": "rub1-" + "a" * 32, "NPO Hybrid": "rub1-" + "a" * 31 + "b"}
    rows = tuple(
        replace(row, entry=Entry(row.record.model_copy(update={"submission_id": ids[name]}), row.entry.items))
        if (name := row.record.display_name) in ids
        else row
        for row in board.rows
    )
    site = render([replace(board, rows=rows)])
    moved = site["m/aaaaaaaaaa.html"].decode()
    assert "refresh" not in moved
    assert "could mean several rows" in moved
    assert all(f"{id.removeprefix('rub1-')}.html" in moved for id in ids.values())
    assert sum(name.startswith("m/a") for name in site) >= 3


def test_flags_of_any_length_and_number_stay_one_line_on_the_index(cast: dict[str, Entry]) -> None:
    """Four hundred warnings of 380 characters made a row of 150 kB."""
    record = cast["adam"].record
    flags = [f"{i:03}" + "x" * 377 for i in range(60)]
    attacks = [
        a.model_copy(update={"diagnostics": [{"flags": flags}] if a.name == "gptq4" else []}) for a in record.attacks
    ]
    fields = {key: getattr(record, key) for key in type(record).model_fields if key != "submission_id"}
    entry = Entry.unsaved(seal(**{**fields, "attacks": attacks}), cast["adam"].items)
    site = render([score([entry], cast["target"], cast["retrain"], replicates=100)])
    index = site["index.html"].decode()
    assert "and 57 more" in index
    assert "x" * 60 not in index
    assert flags[59] in site[page_name(entry.id)].decode()


def test_rows_that_are_alike_are_labelled_on_the_page_and_in_the_data(cast: dict[str, Entry]) -> None:
    record = cast["adam"].record
    fields = {key: getattr(record, key) for key in type(record).model_fields if key != "submission_id"}
    twin = Entry.unsaved(seal(**{**fields, "display_name": "NPΟ Аdam"}), cast["adam"].items)
    board = score([cast["adam"], twin], cast["target"], cast["retrain"], replicates=100)
    site = render([board])
    assert "the same weights as NPO Adam" in site["index.html"].decode()
    page = site[page_name(twin.id)].decode()
    assert "a name that can be taken for that of" in page
    assert f'href="../{page_name(record.submission_id)}"' in page
    rows = {row["display_name"]: row for row in json.loads(site["data/board.json"])["boards"][0]["rows"]}
    assert len(rows["NPΟ Аdam"]["labels"]) == 3
    assert rows["Target"]["labels"] == []


def test_nothing_is_called_verified_that_was_not_run_again(site: dict[str, str], root: Path) -> None:
    assert "verified" not in site["index.html"]
    texts = [*(root / "docs").rglob("*.md"), root / "README.md", root / "leaderboard" / "README.md"]
    cli = (root / "robust_unlearn_bench" / "cli").glob("*.py")
    texts += [path for path in cli if "attack" not in path.name]  # `rub leaderboard attack verify` runs it again
    for text in texts:
        assert "verif" not in text.read_text().lower().replace("attack verify", ""), text
