"""Fixtures for the whole suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["fixtures.architectures", "fixtures.environments", "fixtures.live_memory", "fixtures.unlearning"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout."""
    folder = ROOT.parent / "shared"
    if missing := [part for part in ("data/tofu", "reference") if not (folder / part).is_dir()]:
        pytest.skip(f"the reference data beside the checkout are absent: no ../shared/{missing[0]}")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test reads or writes the user's cache; slow tests that share trained models opt out by name."""
    monkeypatch.setenv("RUB_ANSWERS", "off")


WORDS = "the a of in was who what where river tower baker sang wrote found old new blue iron Question Answer".split()


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A byte-level BPE of a few hundred tokens with BOS, EOS and PAD, BOS added by default."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>", "<pad>"], initial_alphabet=alphabet)
    backend.train_from_iterator([" ".join(WORDS)] * 50, trainer)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


@pytest.fixture
def tiny_llama(tiny_tokenizer: Any) -> Callable[..., Any]:
    """Factory of random Llamas: `tiny_llama(tied=True, dtype=torch.bfloat16, seed=1, window=64)`."""

    def build(tied: bool = False, dtype: Any = None, seed: int = 0, window: int = 64) -> Any:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=len(tiny_tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=window,
            tie_word_embeddings=tied,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = LlamaForCausalLM(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.ndim == 2:
                        parameter.mul_(8)  # peaked predictions, so that greedy choices have no near ties
        return model.to(dtype or torch.float32).eval()

    return build


@pytest.fixture
def tiny_lm(tiny_llama: Callable[..., Any], tiny_tokenizer: Any) -> Callable[..., Any]:
    """Factory of lm-eval models around a tiny Llama."""

    def build(batch_size: int = 1, **options: Any) -> Any:
        from lm_eval.models.huggingface import HFLM

        return HFLM(pretrained=tiny_llama(**options), tokenizer=tiny_tokenizer, batch_size=batch_size)

    return build


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A few invented rows of every dataset, in the layout that RUB_DATA expects."""
    root = tmp_path / "mirror"

    def write(name: str, rows: Any) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")

    def books(side: str, n: int) -> list[dict[str, str]]:
        return [{"question": f"Who wrote {side} book {i}?", "answer": f"Author {i} of {side}."} for i in range(n)]

    for corpus in ("books", "news"):
        for side in ("forget", "retain"):
            shots, qa = books(f"{corpus} {side} shot", 10), books(f"{corpus} {side}", 4)
            write(f"{corpus}/knowmem/{side}_qa_icl.json", shots)
            write(f"{corpus}/knowmem/{side}_qa.json", [*qa, qa[1], shots[3]])  # a repeat, and one that a shot leaks
            write(f"{corpus}/privleak/{side}.json", [f"{corpus} {side} passage {i} — déjà vu." for i in range(3)])
        write(f"{corpus}/privleak/holdout.json", [f"{corpus} unseen passage {i}." for i in range(2)])
        write(f"{corpus}/verbmem/forget.json", [{"prompt": f"Chapter {i}. ", "gt": f"It was {i}."} for i in range(3)])
        for split in ("forget", "holdout", "retain1", "retain2"):
            asked = ["", "", *(f" Chapter {i}. It was {i}." for i in range(3))] if split == "forget" else [""] * 5
            write(f"{corpus}/raw/{split}.json", [f"{corpus} {split} text {i}{asked[i]}" for i in range(5)])
    folds = [json.loads((root / "news/raw/forget.json").read_text(encoding="utf-8"))]
    ends = {
        2: "was found in the iron tower",
        3: "sang of what the old baker wrote",
        4: "a new river where blue iron was",
    }
    folds += [[f"news fold {k} text {i} {end}" for i in range(5)] for k, end in ends.items()]
    for k in range(1, 5):
        write(f"news/sust/forget_{k}.json", folds[k - 1])
        write(f"news/scal/forget_{k}.json", [text for fold in folds[:k] for text in fold])

    for split in ("forget01", "forget05", "forget10", "retain99", "retain95", "retain90", "holdout10"):
        write(f"tofu/{split}.json", books(split, 3))
    for config in ("forget01", "forget05", "forget10", "retain", "real_authors", "world_facts"):
        extra = {"paraphrased_answer": "It was they."} if config[:3] in ("for", "ret") else {}
        rows = [{**row, **extra, "perturbed_answer": ["Nobody.", "It was a baker."]} for row in books(config, 3)]
        write(f"tofu/{config}_perturbed.json", rows)

    choices = ["a river", "a baker", "a tower", "iron"]
    asked = [{"question": f" What is thing {i}? ", "choices": choices, "answer": i % 4} for i in range(5)]
    for domain in ("bio", "cyber", "chem"):
        write(f"wmdp/wmdp-{domain}.jsonl", asked)
    write("wmdp/mmlu.jsonl", [{**row, "subject": "high_school_physics"} for row in asked])
    for corpus in ("bio-forget-corpus", "cyber-forget-corpus", "wikitext"):
        write(f"wmdp/{corpus}.jsonl", [{"text": f"{corpus} {i} " + "the old tower " * 8} for i in range(6)])
    return root
