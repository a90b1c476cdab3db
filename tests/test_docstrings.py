from __future__ import annotations

import dataclasses

from robust_unlearn_bench.docstrings import described, notes, parameter_table


@dataclasses.dataclass
class Example:
    """One line.

    More text.

        a = b

    Attributes:
        rate: how fast
            it goes.
        wide: whether: yes or no.

    Source: somebody,
        somewhere.
    Cost: none.
    """

    rate: float = 1e-5
    wide: bool = True
    rest: str = ""
    most: int | None = None


def test_text_attributes_and_sections() -> None:
    said = described(Example)
    assert said.text == "One line.\n\nMore text.\n\n    a = b"
    assert said.attributes == {"rate": "how fast it goes.", "wide": "whether: yes or no."}
    assert said.sections == {"Source": "somebody, somewhere.", "Cost": "none."}


def test_a_table_of_parameters() -> None:
    assert parameter_table("option", dataclasses.fields(Example), described(Example).attributes) == [
        "| option | default | |",
        "|---|---|---|",
        "| `rate` | 1e-05 | how fast it goes |",
        "| `wide` | true | whether: yes or no |",
        '| `rest` | "" |  |',
        "| `most` | null |  |",
        "",
    ]
    assert parameter_table("option", (), {}) == []


def test_notes_come_in_the_order_asked_for() -> None:
    sections = {"Source": "a.", "Cost": "b."}
    assert list(notes(sections, ("Cost", "Departs", "Source"))) == ["*Cost:* b.", "", "*Source:* a.", ""]
