"""The general part of docs/attacks.md; what is said of single attacks stands in their docstrings."""

# ruff: noqa: E501  # rows of Markdown tables cannot be wrapped

from __future__ import annotations

__all__ = ["AFTER", "BEFORE", "GROUPS", "NUMBERS", "UNITS"]

BEFORE = """\
# Attacks

An attack changes a model's weights between two measurements. This page says of each one what it computes, with which
parameters, where it comes from, where it departs from its source, and what it costs.

    lm_eval --tasks muse_books__gptq4 --model hf …             # a suite under an attack
    rub eval hellaswag --model DIR --attacks "none gptq4"      # any lm-eval task under attacks
    rub attack relearn50+gptq4 --suite muse_books --model DIR --out attacked/    # an attacked checkpoint

## Specs

A spec is a name, a name with parameters, or several joined by `+` and applied left to right. The number in a name sets
the family's main parameter (`bits`, `k`, `percent`, `epochs`).

    gptq4     relearn100(lr=2e-05,seed=1)     relearn50+gptq4     {attack: relearn100, lr: 2e-5}   # in YAML

Values are checked against the types of the parameters; unknown names get a suggestion. Every spec prints canonically
(parameters at their defaults are left out) and has a digest over all resolved parameters and the attack's version.
A suite may set its own defaults for a family (`relearn` on nano suites runs at lr 1e-4): the resolved values are in
every result.

## Data

Attacks that look at data use the suite's own text, never the evaluation's answers as such:

| word | text |
|---|---|
| `retain` | the suite's retain corpus; the general corpus where a task belongs to no suite |
| `forget` | the suite's forget corpus |
| `general` | the embedded general corpus: mentions no name, belongs to no suite |

**Calibration** (`gptq`, `prune`): the corpus is tokenised in order, EOS between examples, and cut into windows of
`length` tokens (at most the model's own window), each starting with BOS where the tokenizer puts it before a text.
`samples` windows are drawn without replacement by `seed`. A window that holds a passage of the forget text (50 words in a row of one forget text, or a whole shorter one
of at least 8 words) is passed over and counted; where more than one window in ten does, the attack refuses, unless
`calibration=forget` asks for forget text. The SHA-256 of the token ids, the number of windows and of tokens are recorded.

**Probe**: perplexity before and after is measured on up to 8 retain windows from the other end of the same draw, so that
probe and calibration do not meet in a corpus of more than `samples` + 8 windows.

## Diagnostics

Every result carries, per step: `perplexity` before and after (training attacks: `loss_before`/`_after`,
`retain_perplexity_before`/`_after`), errors per tensor class (`self_attn.q_proj`, `mlp.down_proj`, …), and where they
apply `effective_bits`, `sparsity`, `calibration`, `fallbacks`, `flags`; the session adds seconds, peak memory and
‖ΔW‖/‖W‖ for embeddings, attention, MLP, norms and head.

| number | meaning |
|---|---|
| `relative_output_error` | ‖(W − Ŵ)X‖ / ‖W X‖ on the calibration inputs X that the layer met while it was quantised, mean over the layers of a class |
| `relative_output_error_rtn` | the same for rounding W to nearest on the same grid: what GPTQ's corrections are worth |
| `relative_weight_error` | ‖ΔW‖ / ‖W‖, mean over the layers of a class |
| `effective_bits` | log2 of the most distinct values that a row has in a group, counted in the written weights; GPTQ asserts that it is ≤ `bits` |
"""
"""Everything in front of the tables of flags and fallbacks."""

UNITS = """\
## Cost

F = one forward over the attack's own tokens, B = one backward (≈ 2 F). Every attack that reports perplexity adds 2 F over 8
probe windows. Bytes per parameter are what the device holds beyond the model itself; the session keeps one snapshot in
CPU memory besides (2 bytes per parameter in bf16).
"""
"""The units in which the cost of every attack is given."""

GROUPS = {
    "none": """\
## The control
""",
    "quantise": """\
## Quantisers

All of them quantise and dequantise **in place**: the model keeps its float format and dtype, so that any evaluation runs
unchanged. They touch every Linear (and GPT-2's Conv1D) of the decoder blocks; embeddings, norms, biases and the head
stay as they are. Activations are not quantised.

The integer grid of `gptq` and `rtn`, for each row of each group of consecutive columns:

    symmetric    step = 2·max|w| / (2^b − 1)       levels −2^(b−1) … 2^(b−1) − 1
    asymmetric   step = (max − min) / (2^b − 1)    levels from −round(−min/step), min ≤ 0 ≤ max

A row shorter than `group_size` (or −1) is one group; where `group_size` does not divide the row, the last group is
shorter. Steps are kept in fp32, where packed formats store fp16.
""",
    "perturb": """\
## Pruning and noise
""",
    "relearn": """\
## Training attacks

All of them minimise L = −Σ log p(token | tokens before) / number of scored tokens, over batches b of sequences drawn
without replacement (reshuffled when used up), with g = ∇L clipped to ‖g‖ ≤ 1:

    m ← .9 m + .1 g,   v ← .999 v + .001 g²,   w ← w − lr · s(t) · m̂ / (√v̂ + 1e-8)
    s(t), t = 0 … k − 1:   cosine (1 + cos πt/k) / 2      constant 1      linear: t/w below w = ⌈k/10⌉, then (k − t)/(k − w)

On running text every token is scored, in windows that start with BOS; on question and answer, the answer. Tokenizers
that put nothing before a text (Qwen, Pythia, OLMo) get no BOS, as in evaluation: the first token of a window is then
given, not scored.

AdamW without weight decay, gradients clipped to norm 1, dropout off; steps, examples and tokens are recorded. Where
weights, gradients and states are does not belong to an attack: see "Where training keeps its weights" below. Beyond the
model, and activations, a full fine-tuning with everything on the device holds

| | bytes per parameter |
|---|---|
| the defaults | 14: fp32 masters 4 (− 2 of a bf16 model) + gradients 4 + Adam 8 |
| `optimizer=adam8bit` | 8.2: 4 − 2 + 4 + 2.2 |
| `precision=bf16_pure, optimizer=adam8bit` | 4.2: 2 + 2.2 (`bf16_kahan`: 6.2) |

Every training attack has these parameters; what each adds or sets otherwise stands with it.
""",
}
"""Module or subpackage of `attacks` → heading and introduction of the attacks in it, in the order of the page."""

NUMBERS = """\
## Cost in numbers

**A 7B model** (Llama-2 shapes: 32 blocks, d 4096, inner 11008, 6.74e9 parameters, bf16; arithmetic, not measured):

| | |
|---|---|
| model on the device, snapshot in CPU memory | 13.5 GB each |
| `gptq4`, 128 × 2048 tokens: hidden states in CPU memory | 2.1 GB |
| … forwards, 2.5 F | 8.8e15 operations in bf16 |
| … Hessians, 32·T·(3·4096² + 11008²) operations | 1.4e15 in fp32 |
| … column steps, 32·(6·4096 + 11008) | 1.14e6, about ten small kernels each |
| … beyond the model on the device | 0.49 GB of Hessian (11008² · 4) + 0.27 GB of layer copies or of activations: less than the 0.40 GB of one block and the Hessian |
| `rtn4`, `bnb_*`, `noise5`: beyond the model | 0.3 GB (noise: 0.5 GB, the embedding in fp32), no passes |
| `prune50` (Wanda) | 2 F: 7.1e15 operations; 0.5 GB (scores and order of the largest layer) + 0.3 GB of activations |
| `relearn100`, batch 4 × 2048: tokens | 0.8e6 |
| … passes, 100·(F + B) | 3.3e16 operations |
| … weights, gradients, states: Adam | 16 bytes per parameter: 108 GB |
| … with masters in CPU memory | 108 GB there; on the device 13.2 GB of bf16 images, 0.5 GB of fp32 embedding and 7.5 GB for a batch with recomputed activations: 21.2 GB |
| … `adam8bit` | 10.2: 69 GB |
| … `adam8bit`, `bf16_kahan` | 8.2: 55 GB |
| `relearn_ep5`, 40 samples: passes | 50·(F + B): 1.7e16 operations |
| `lora_relearn100`: beyond the model | 4.0e7 adapter parameters · 16 = 0.6 GB, and activations; 100·(F + ⅔ B) = 2.6e16 operations |

**Measured** (one core of a shared machine, `benchmarks/`):

| | |
|---|---|
| built-in GPTQ, seconds ÷ llm-compressor's 0.14 (34M-parameter random Llama, 32 × 256 tokens) | .63 by its own recipe, .88 by the protocol's; in earlier runs .65 to .66 and .82 to .86 |
| GPTQ, peak resident memory beyond a 267 MiB model and 48 MiB of hidden states | 40 MiB: .89 of one block and the largest Hessian (45 MiB) |
| step of `relearn` ÷ step of a plain torch loop | 1.007 |
| session ÷ sum of its parts (4 attacks, 400 requests each) | 1.06 in wall time, 1.03 in processor time |
| training, live tensors beyond a bf16 model, bytes per parameter (43M parameters) | Adam 14.0, `adam8bit` 8.0, with `bf16_pure` 4.0, with `bf16_kahan` 6.2, as by arithmetic; resident memory adds 80 to 200 MB that do not grow with the model |
"""
"""Worked and measured costs."""

AFTER = """\
## What a run needs, before it starts

    rub plan muse_books_robust --model MODEL --device-memory 24GB --host-memory 128GB

prints memory, passes, operations and an estimated time for every attack and for the evaluation; of the model only
config.json is read, and all formulas are in `training/footprint.py`. Its summary is the first line of `rub eval` and `rub
unlearn`, which refuse at once what fits nowhere. What counts is the memory that is free, not the size of the card: other
processes on a shared GPU leave less.

## Where training keeps its weights

Relearning and unlearning choose, from the memory that is free, the fastest placement that fits:

1. everything on the device; 2. activations recomputed in the backward pass; 3. the batch in smaller and smaller parts;
4. to 6. the same with weights, gradients and optimizer states in CPU memory.

In the last three the device holds an image of each weight: bf16 for the matrices of linear layers, which is what autocast
computes with anyway, fp32 for norms, biases and embeddings. Gradients leave one by one as soon as they are complete, are
clipped together and applied in CPU memory, and updated weights return with the next pass. On one type of device this
changes no bit of the result (`tests/training/test_host_weights.py`, `tests/unlearn/test_placed_unlearning.py`); smaller
parts change the order of sums, that is, the rounding. A placement therefore has no part in an attack's digest; the results
name it under `placement` in the diagnostics, with the bytes that were planned.

`RUB_DEVICE_MEMORY=20GB` makes a run plan with less than is free. `gradient_checkpointing=true` and `micro_batch=n` remain
parameters of an attack, which hold in any case; they are not needed to save memory.

Batches of scoring and generation take as many padded tokens as the free memory of a GPU holds (8,192 on a CPU;
`RUB_BATCH_TOKENS` sets another number), and are halved for the rest of the attack if memory runs out nevertheless.

## Where the weights are kept meanwhile

After every attack the session copies the original weights back, bit for bit. By default the originals are a copy in CPU
memory; `snapshot=disk` keeps them in one nameless file below the cache folder (`RUB_CACHE`), gone with the process, and
`snapshot=reload` keeps nothing and reads the checkpoint again (it is read once at the start, to be sure that it gives
these weights, and again for every attack). Say so by `rub eval --snapshot disk`, `lm_eval --metadata '{"snapshot":
"disk"}'` or `RUB_SNAPSHOT=disk`.

A model that accelerate has spread over several devices (`parallelize=True`) is attacked like any other; one with layers
offloaded to CPU memory or disk is refused, because those are not there to be changed.

Runs resume by attack: answers are kept in the cache folder as soon as an attack has been measured (`RUB_ANSWERS=off`
turns that off), and a run that was killed and is started again writes the same results, apart from times. An attack that
fails, or for which memory does not suffice, costs only itself: the others are measured and kept, then the failure is
reported.

## Controls

Target and retrain model go through the same attacks. One command evaluates all three and prints the leakage:

    rub eval nano_books_robust --model DIR --controls --out results/
    rub eval muse_books_robust --model DIR --controls --target DIR --retrain DIR --out results/

## Other people's GPTQ

`backend=llmcompressor` and `backend=gptqmodel` quantise a copy of the checkpoint with those packages on the same
calibration windows and write the dequantised weights back. They are cross-checks: the protocol's numbers come from
`builtin`. `group_size` must divide every row. The two cannot share an environment; install one of

    pip install 'robust-unlearn-bench[llmcompressor]'
    pip install 'robust-unlearn-bench[gptqmodel]'

Mean relative output error over the layers of a tiny random Llama, 64 windows of 64 tokens, 4 bits, groups of 32, on the
inputs of the original model (`tests/attacks/quantise/backends/`, which hold every run to 3 %):

| | error | |
|---|---|---|
| built-in, default | .07696 | |
| built-in, `static_groups=True, true_sequential=False` | .07689 | |
| llm-compressor 0.14.0 | .07689 | the same weights as the line above: its recipe is static groups, one calibration per block |
| gptqmodel 7.6.0 | .07708 | steps rounded to fp16; its own default, `act_group_aware`, gives .0762 and is switched off |

## Packed checkpoints

    rub attack gptq4 --suite muse_books --model M --out DIR --format gptq
    lm_eval --model hf --model_args pretrained=DIR,gptqmodel=True --tasks …

The attack must end with a GPTQ whose `group_size` divides every row (write `gptq4(group_size=32)` where 128 does not);
steps before it are applied to the float model. gptqmodel quantises on the attack's own
calibration windows and writes int32-packed weights with fp16 steps, in the format that vLLM and transformers read (tried
here: lm-eval through gptqmodel). They are not bit for bit the weights of the in-place attack (table above).

## auto-gptq

The protocol's GPTQ is the AutoGPTQ recipe, but not its package. auto-gptq is archived; its last release, 0.7.1, stops on
import under transformers 5 (`cannot import name 'no_init_weights' from 'transformers.modeling_utils'`). gptqmodel is its
successor and reads its checkpoints: a model that was quantised with auto-gptq can be evaluated with
`--model_args pretrained=DIR,gptqmodel=True`, but not attacked, since attacks need float weights.
"""
"""Everything behind the attacks."""
