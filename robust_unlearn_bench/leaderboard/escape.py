"""Strings that strangers wrote, made harmless for each place where they end up.

HTML is not here: the templates escape everything themselves.
"""

from __future__ import annotations

import re

__all__ = ["csv_cell", "github_data", "github_property", "latex", "markdown", "xml"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "≤": r"$\leq$", "–": "--",
}  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_ENDS = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_FORMULA = re.compile("[\\s\"'\ufeff]*[=+@|%＝＋－＠-]")


def csv_cell(text: str) -> str:
    """Keep a spreadsheet from reading a cell as a formula, wherever it takes one cell for several.

    A first = + - @ | or %, behind any spaces and quotes, is preceded by an apostrophe. Semicolons and tabs, which separate
    cells in half of the world, become commas and spaces.
    """
    flat = _LINE_ENDS.sub(" ", text).replace("\t", " ").replace(";", ",")
    return f"'{flat}" if _FORMULA.match(flat) else flat


def markdown(text: str) -> str:
    """One line without markup, links or table cells."""
    flat = _LINE_ENDS.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~@:-])", r"\\\1", flat)


def latex(text: str) -> str:
    """One line of plain LaTeX text."""
    return "".join(_LATEX.get(character, character) for character in _LINE_ENDS.sub(" ", text))


def github_data(text: str) -> str:
    """The message of a workflow command: `::error::…` inside cannot start another command."""
    flat = re.sub("[\v\f\x1c-\x1e\x85\u2028\u2029]", " ", text)
    return flat.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def github_property(text: str) -> str:
    """A property of a workflow command, such as its title."""
    return github_data(text).replace(":", "%3A").replace(",", "%2C")


def xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold, not even escaped; the writer does the rest."""
    return _NOT_XML.sub("\ufffd", text)
