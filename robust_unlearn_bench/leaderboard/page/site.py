"""The static site: one index, one permalink page a submission, and the data. A pure function of boards and tables.

Equal input gives equal bytes. Nothing is loaded from elsewhere: style and script stand in the page, named by their hash
in its content security policy, and everything works from `file://` and without JavaScript.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ..record.grades import GRADES, grade_of
from ..record.reported import Reported
from ..scoring.board import Board, Row
from ..scoring.board_table import percent
from ..scoring.likeness import Likeness, likenesses
from ..scoring.overall import overall
from .board_page import board_values, reported_values
from .charts.canvas import GLYPHS
from .export import board_csv, board_json
from .model_page import model_values
from .row_view import TIER_WORDS, heat_class, interval_text, options, page_name, short_page_name, trace_class

__all__ = ["build_page", "render"]

_HERE = Path(__file__).parent
_BREAKS = re.compile(r"(?<=_)|(?<=[a-z]{3})(?=[0-9]{2})")


def build_page(boards: Sequence[Board], out: Path | str, reported: Sequence[Reported] = ()) -> Path:
    """Write the site into a folder and return its index page."""
    folder = Path(out)
    for name, content in render(boards, reported).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "index.html"


def render(boards: Sequence[Board], reported: Sequence[Reported] = ()) -> dict[str, bytes]:
    """Every file of the site: relative path → content."""
    alike = {key: found for board in boards for key, found in likenesses([r.entry for r in board.rows]).items()}
    site = {
        "index.html": _index(boards, reported, alike),
        **({"published.html": _published(reported)} if reported else {}),
        "data/board.json": board_json(boards, reported, alike),
        "data/board.csv": board_csv(boards),
    }
    site |= _redirects([row for board in boards for row in board.rows])
    for board in boards:
        for row in board.rows:
            values = model_values(row, board, alike.get(row.entry.id, ()))
            site[page_name(row.entry.id)] = _page("model.html.j2", script=False, **values)
            site[f"data/records/{row.entry.id}.json"] = row.record.json_bytes()
    return site


def _redirects(rows: Sequence[Row]) -> dict[str, bytes]:
    """A page for every permalink of the time when they were short: it leads to the row, or to all that it could mean."""
    meant: dict[str, dict[str, str]] = {}
    for row in rows:
        names = meant.setdefault(short_page_name(row.entry.id), {})
        names[page_name(row.entry.id).removeprefix("m/")] = row.record.display_name
    return {short: _page("moved.html.j2", script=False, names=sorted(names.items())) for short, names in meant.items()}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Jinja with escaping on for every template: its default goes by file name and would miss `.j2`."""
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        words=TIER_WORDS,
        percent=percent,
        interval=interval_text,
        heat=heat_class,
        trace=trace_class,
        breakable=_breakable,
        version=__version__,
    )
    return environment


def _breakable(text: str) -> Markup:
    """Text that may be broken after an underscore and before a number: relearn·20_·retain."""
    return Markup("<wbr>").join(_BREAKS.split(text))  # join escapes the parts


def _page(template: str, *, script: bool, **values: Any) -> bytes:
    css = (_HERE / "static" / "board.css").read_text(encoding="utf-8")
    js = (_HERE / "static" / "board.js").read_text(encoding="utf-8") if script else ""
    policy = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    policy.append(f"style-src 'sha256-{_content_hash(css)}'")
    if script:
        policy.append(f"script-src 'sha256-{_content_hash(js)}'")
    own = {"css": Markup(css), "js": Markup(js), "csp": "; ".join(policy)}  # files of this package
    return _environment().get_template(template).render(**own, **values).encode()


def _content_hash(text: str) -> str:
    """Base64 of the SHA-256, as a content security policy names an inline block."""
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _index(boards: Sequence[Board], reported: Sequence[Reported], alike: Mapping[str, Sequence[Likeness]]) -> bytes:
    return _page(
        "index.html.j2",
        script=True,
        boards=[board_values(board, alike) for board in boards],
        methods=overall(boards),
        reported=bool(reported),
        options=options(boards),
        grades=GRADES,
        grade_of=grade_of,
        glyphs=GLYPHS,
        replicates=max((board.replicates for board in boards), default=0),
    )


def _published(reported: Sequence[Reported]) -> bytes:
    return _page("published.html.j2", script=False, reported=[reported_values(table) for table in reported])
