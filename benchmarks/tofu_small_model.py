"""A small Llama trained on real TOFU rows: target and retrain checkpoints to try `tofu_forget10_robust` with.

    RUB_DATA=DIR python benchmarks/tofu_small_model.py OUT

DIR/tofu holds the hub's JSON files. The target sees the 400 rows of forget10 and the 400 of retain_perturbed, the
retrain model the latter only. Minutes on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from robust_unlearn_bench.models.checkpoint import Checkpoint, save
from robust_unlearn_bench.suites import SUITES, Example
from robust_unlearn_bench.suites.tofu_leaves import prompt
from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune

STEPS = 400


def tokenizer_for(texts: list[str]) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<pad>"]
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=4096, special_tokens=special, initial_alphabet=alphabet)
    )
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def main() -> None:
    out = Path(sys.argv[1])
    suite = SUITES["tofu_forget10"]
    source = suite.source(None)
    forget = list(suite.corpora(source).forget.examples)
    rows = source.rows("retain_perturbed", "train")
    retain = [Example(row["answer"], prompt(row["question"])) for row in rows]
    tokenizer = tokenizer_for([example.prompt + example.completion for example in forget + retain])
    for role, examples in (("target", forget + retain), ("retrain", retain)):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=256,
                intermediate_size=768,
                num_hidden_layers=4,
                num_attention_heads=4,
                max_position_embeddings=512,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=2,
            )
        )
        config = FinetuneConfig(
            steps=STEPS,
            lr=3e-3,
            batch_size=32,
            schedule="cosine",
            warmup=0.05,
            optimizer="muon",
            precision="bf16_autocast",
            pool=1,
        )
        report = finetune(model, tokenizer, examples, config)
        folder = save(Checkpoint(model, tokenizer), out / role, {})
        print(f"{folder}: loss {report.loss_first:.2f} → {report.loss_last:.3f}, {report.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
