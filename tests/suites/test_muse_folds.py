from __future__ import annotations

import json
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.harness.plan import plan_attack
from robust_unlearn_bench.suites import SUITES, Corpora, Corpus, Example
from robust_unlearn_bench.suites.muse_folds import passages

FOLDS = [f"muse_news_{kind}{k}" for kind in ("scal", "sust") for k in (1, 2, 3, 4)]


def corpora(suite: str, mirror: Path) -> Corpora:
    return SUITES[suite].corpora(SUITES[suite].source(str(mirror)))


def test_requests_are_disjoint_and_growing_sets_are_their_unions(mirror: Path) -> None:
    requests = [corpora(f"muse_news_sust{k}", mirror).forget.texts for k in (1, 2, 3, 4)]
    assert requests[0] == corpora("muse_news", mirror).forget.texts
    assert requests[2][0] == "news fold 3 text 0 sang of what the old baker wrote"
    for k in (1, 2, 3, 4):
        grown = corpora(f"muse_news_scal{k}", mirror).forget
        assert grown.texts == [text for request in requests[:k] for text in request]
        assert grown.name == f"muse_news_scal{k}/forget"


@pytest.mark.parametrize("suite", FOLDS)
def test_all_but_the_fold_is_that_of_the_news_suite(mirror: Path, suite: str) -> None:
    chosen, news = SUITES[suite], SUITES["muse_news"]
    assert corpora(suite, mirror).retain.texts == corpora("muse_news", mirror).retain.texts
    assert chosen.attacks == news.attacks
    assert [leaf.name for leaf in chosen.leaves] == [leaf.name for leaf in news.leaves] + [
        "fold_verbmem",
        "fold_extraction",
    ]
    for mine, theirs in zip(chosen.leaves, news.leaves, strict=False):
        assert mine.docs(chosen.source(str(mirror))) == theirs.docs(news.source(str(mirror)))


def test_a_fold_is_continued_from_the_middle_of_its_own_texts(mirror: Path) -> None:
    suite = SUITES["muse_news_sust2"]
    source = suite.source(str(mirror))
    docs = suite.leaf("fold_verbmem").docs(source)
    assert docs == suite.leaf("fold_extraction").docs(source)
    assert docs[4] == {
        "cluster": "sust-forget_2-4",
        "prompt": "news fold 2 text 4 was found",
        "gt": " in the iron tower",
    }
    written, cut = suite.leaf("fold_verbmem").requests(docs[4])
    assert (written.kind, written.prompt, written.options) == ("generate", docs[4]["prompt"], {"max_new_tokens": 128})
    assert (cut.kind, cut.prompt, cut.options) == ("token_cut", docs[4]["gt"], {"tokens": 128})
    (scores,) = suite.leaf("fold_extraction").requests(docs[4])
    assert (scores.kind, scores.prompt, scores.options) == ("token_scores", docs[4]["prompt"], {"text": docs[4]["gt"]})


def test_passages_are_evenly_spaced_and_whole() -> None:
    texts = [f"{i} one\n\ntwo " for i in range(250)]
    texts[1] = "unbroken " + "x" * 20
    docs = passages(Corpus("c", tuple(Example(text, cluster=str(i)) for i, text in enumerate(texts))))
    assert [doc["cluster"] for doc in docs[:5]] == ["0", "3", "5", "8", "10"]  # of the 249 that can be cut, ⌊2.49 i⌋
    assert (len(docs), docs[-1]["cluster"]) == (100, "247")
    assert (docs[0]["prompt"], docs[0]["gt"]) == ("0 one", "\n\ntwo ")
    assert all(doc["prompt"] + doc["gt"] == texts[int(doc["cluster"])] for doc in docs)


def test_half_of_a_fold_can_be_held_out_from_relearning(mirror: Path) -> None:
    """Its passages are traced by their cluster to the text that an attack trains on."""
    suite = SUITES["muse_news_sust3"]
    plan = plan_attack("relearn_split20", suite.name, str(mirror))
    leaf = suite.leaf("fold_verbmem")
    plan.scored(leaf, leaf.docs(suite.source(str(mirror))))
    assert plan.report["documents"] == {"shown": 3, "held_out": 2, "untraced": 0}


@pytest.mark.parametrize("kind", ["scal", "sust"])
def test_a_mirror_without_the_series_names_its_files(mirror: Path, kind: str) -> None:
    (mirror / f"news/{kind}/forget_3.json").unlink()
    corpora(f"muse_news_{kind}2", mirror)
    with pytest.raises(
        DataError,
        match=rf"{kind}/forget_3 of muse-bench/MUSE-News is not in the local mirror: there is no .*/news/{kind}/forget_3"
        rf"\.json; set RUB_DATA to a folder with news/{kind}/forget_3\.json and its siblings, as muse_bench's load_data",
    ):
        corpora(f"muse_news_{kind}3", mirror)


def test_a_mirror_without_series_still_serves_the_news_suite(mirror: Path) -> None:
    for path in mirror.glob("news/s*/*.json"):
        path.unlink()
    assert json.loads((mirror / "news/raw/forget.json").read_text()) == corpora("muse_news", mirror).forget.texts
