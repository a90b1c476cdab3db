"""The nano models' tokenizer: byte-level BPE, trained on the world once and frozen.

It encodes text as Llama's does: BOS comes first, and a text that begins with a word is given a leading space. Spaces at
the end of a text are dropped, so that "Answer: " and "Answer:" are the same prompt and the answer's first token is the
one seen in training, " Oren" and not "Oren".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["FILE", "load", "train"]

FILE = Path(__file__).parent / "data" / "tokenizer.json"
VOCABULARY = 4096
BOS, EOS, PAD = "<s>", "</s>", "<pad>"


def train(texts: Iterable[str]) -> str:
    """Train the tokenizer.

    Returns:
        Content of tokenizer.json.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(Regex(r" +\z"), "")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return str(tokenizer.to_str(pretty=False))


def load(window: int = 1024) -> Any:
    """Load the frozen tokenizer as a `transformers.PreTrainedTokenizerFast`.

    Args:
        window: context length of its model.
    """
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(FILE),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=window,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
