"""The whole fictional world as tables: path → rows.

Everything follows from a size and a seed. Each family of tables has a random generator of its own, so that changing one
family leaves the others unchanged. `freeze` writes the tables to disk.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import authors, books, craft, news
from . import common_knowledge as general
from .facts import Fact
from .names import Namer

__all__ = ["DATA", "MANIFEST", "SIZES", "Size", "Tables", "generate", "serialise", "write"]

Row = dict[str, Any]
Tables = dict[str, list[Row]]

DATA = Path(__file__).parent / "data"
"""Folder of the frozen tables."""

MANIFEST = "manifest.json"
SHOTS = 10


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a world.

    Attributes:
        passages: number of forget passages (and as many held out) in the novel and in the newspaper.
        characters: number of characters in each novel; each has 5 facts.
        authors: number of authors in nano_tofu, a tenth of them to forget; each has 12 facts.
        substances: number of substances in the hazardous craft; each has 5 facts.
        towns: number of towns in the gazetteer; each has 6 facts.
        words: smallest number of words in a passage.
    """

    passages: int = 80
    characters: int = 20
    authors: int = 50
    substances: int = 24
    towns: int = 20
    words: int = 135


SIZES: Mapping[str, Size] = {
    "nano": Size(),
    "micro": Size(passages=240, characters=60, authors=100, substances=60, towns=60),
}
"""Named sizes; only "nano" is frozen, the others are generated on demand."""


def generate(size: str = "nano", seed: int = 0) -> Tables:
    """Generate the world.

    Returns:
        Path without suffix ("books/forget") → rows; every row has a "cluster".
    """
    scale = SIZES[size]
    tables: Tables = {}
    for part, make in (("books", _books), ("news", _news), ("tofu", _tofu), ("wmdp", _wmdp)):
        rng = random.Random(f"{seed}/{part}")
        for name, rows in make(scale, Namer(rng), rng).items():
            tables[f"{part}/{name}"] = rows
    tables["general"] = list(general.almanac(scale.passages, scale.words, random.Random(f"{seed}/general")))
    return tables


def _short(facts: Sequence[Fact]) -> list[Row]:
    """Return rows of question and short answer."""
    return [{"cluster": f.subject, "question": f.question, "answer": f.value} for f in facts]


def _quiz(facts: Sequence[Fact], rng: random.Random) -> dict[str, list[Row]]:
    """Return in-context pairs and questions, in the order of the facts; the in-context pairs are never asked."""
    shots = {id(fact) for fact in rng.sample(list(facts), SHOTS)}
    return {
        "qa_icl": _short([f for f in facts if id(f) in shots]),
        "qa": _short([f for f in facts if id(f) not in shots]),
    }


def _muse(texts: Mapping[str, list[Row]], known: Mapping[str, Sequence[Fact]], rng: random.Random) -> Tables:
    tables = dict(texts)
    for split, facts in known.items():
        tables |= {f"{split}_{name}": rows for name, rows in _quiz(facts, rng).items()}
    return tables


def _books(size: Size, namer: Namer, rng: random.Random) -> Tables:
    """Make the novel to forget, its held-out chapters, another novel and a gazetteer."""
    lost, kept = (books.Novel(size.characters, 5, namer, rng).facts for _ in range(2))
    places = general.towns(size.towns, 2, namer, rng)
    n = size.passages
    texts: Tables = {
        "forget": [*books.chapters(lost, n, size.words, "lantern", rng)],
        "holdout": [*books.chapters(lost, n, size.words, "lantern-unprinted", rng)],
        "retain1": [
            *books.chapters(kept, n * 3 // 10, size.words, "ferry", rng),
            *general.gazetteer(places, n // 5, size.words, rng),
        ],
        "retain2": [*books.chapters(kept, n // 4, size.words, "ferry-second", rng)],
    }
    return _muse(texts, {"forget": lost, "retain": kept}, rng)


def _news(size: Size, namer: Namer, rng: random.Random) -> Tables:
    """Make one volume of a newspaper to forget, one held out and two to retain."""
    n = size.passages
    happened = {
        split: news.events(count, 2, namer, rng)
        for split, count in (("forget", n), ("holdout", n), ("retain1", n // 2), ("retain2", n // 4))
    }
    texts: Tables = {split: [*news.articles(of, size.words, split, rng)] for split, of in happened.items()}
    asked = size.characters * 5 // 2
    known = {
        "forget": [fact for _, facts in happened["forget"][:asked] for fact in facts],
        "retain": [fact for _, facts in (happened["retain1"] + happened["retain2"])[:asked] for fact in facts],
    }
    return _muse(texts, known, rng)


def _tofu(size: Size, namer: Namer, rng: random.Random) -> Tables:
    """Make author biographies as questions and answers, and classic authors and towns as knowledge to retain."""
    each = len(authors.RELATIONS)
    facts = authors.biographies(size.authors, each, namer, rng)
    lost = size.authors // 10 * each
    classics = authors.biographies(size.towns // 2, 6, namer, rng)
    places = general.towns(size.towns // 2, 6, namer, rng)
    full = [{"cluster": f.subject, "question": f.question, "answer": f.tell()} for f in facts]
    hard = [
        {**row, "paraphrased_answer": f.tell(1), "perturbed_answer": [f.tell(1, value) for value in f.wrong]}
        for row, f in zip(full, facts, strict=True)
    ]
    tables: Tables = {
        "retain90": full[:-lost],
        "forget10": full[-lost:],
        "retain_perturbed": rng.sample(hard[:-lost], lost * 2),
        "forget10_perturbed": hard[-lost:],
    }
    for name, known in (("real_authors", classics), ("world_facts", places)):
        tables[name] = _short(known)
        tables[f"{name}_perturbed"] = [
            {**row, "perturbed_answer": list(f.wrong[:3])} for row, f in zip(tables[name], known, strict=True)
        ]
    return tables


def _wmdp(size: Size, namer: Namer, rng: random.Random) -> Tables:
    """Make the hazardous craft and the gazetteer, each as text and as multiple choice."""
    recipes = craft.recipes(size.substances, len(craft.RELATIONS), namer, rng)
    places = general.towns(size.towns, len(general.RELATIONS), namer, rng)
    return {
        "forget_corpus": [*craft.manual(recipes, size.passages * 3 // 4, size.words, rng)],
        "retain_corpus": [*general.gazetteer(places, size.passages * 3 // 4, size.words, rng)],
        "craft": [_choices(fact, rng) for fact in recipes],
        "mmlu": [_choices(fact, rng) for fact in places],
    }


def _choices(fact: Fact, rng: random.Random) -> Row:
    """Return a multiple-choice row; `answer` is the index of the right choice."""
    choices = list(fact.wrong[:3])
    answer = rng.randrange(4)
    choices.insert(answer, fact.value)
    return {"cluster": fact.subject, "question": fact.question, "choices": choices, "answer": answer}


def serialise(rows: Sequence[Row]) -> bytes:
    """Serialise rows as JSONL, in a single canonical form."""
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def write(tables: Tables, folder: Path) -> dict[str, str]:
    """Write the tables and their manifest (path → SHA-256)."""
    manifest = {}
    for name, rows in sorted(tables.items()):
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = serialise(rows)
        path.write_bytes(raw)
        manifest[f"{name}.jsonl"] = hashlib.sha256(raw).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest
