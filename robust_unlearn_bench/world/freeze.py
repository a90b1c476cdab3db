"""Write the frozen world and its tokenizer, which are shipped with the package.

    python -m robust_unlearn_bench.world.freeze [--out DIR] [--size nano] [--tokenizer]

The tokenizer is retrained only on request, because every trained model depends on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .generate import DATA, SIZES, generate, write
from .source import everything
from .tokenizer import FILE, train


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description="Write the fictional world as JSONL.")
    parser.add_argument("--out", type=Path, default=DATA, help="folder (default: the package's own data)")
    parser.add_argument("--size", choices=SIZES, default="nano")
    parser.add_argument("--tokenizer", action="store_true", help="also retrain the tokenizer")
    options = parser.parse_args()
    tables = generate(options.size)
    write(tables, options.out)
    if options.tokenizer:
        (options.out / FILE.name).write_text(train(everything(tables)), encoding="utf-8")


if __name__ == "__main__":
    main()
