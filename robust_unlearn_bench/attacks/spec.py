"""Attack specs: parse, print, digest.

A spec is one attack, or several applied left to right:

    gptq4    relearn50    relearn100(lr=2e-05,seed=1)    relearn50+gptq4

Equal specs print the same canonical text and have the same digest.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import keyword
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

from ..configure import configured
from ..errors import ConfigError, UnknownNameError
from ..registry import Registry
from ..suites.corpus import Corpora, Corpus

__all__ = ["ATTACKS", "Attack", "AttackContext", "AttackSpec", "ReadsText", "attack", "parse"]


@dataclasses.dataclass(frozen=True, slots=True)
class AttackContext:
    """What an attack may use besides the model.

    Attributes:
        tokenizer: the model's Hugging Face tokenizer.
        window: the model's context length in tokens.
        corpora: forget and retain text of the suite, or None for a task that belongs to no suite.
        general: text that belongs to no suite (benign fine-tuning; calibration where there are no corpora).
        progress: called with (done, total, what) from time to time.
    """

    tokenizer: Any
    window: int
    corpora: Corpora | None
    general: Corpus
    progress: Callable[[int, int, str], None] = lambda done, total, what: None


@runtime_checkable
class Attack(Protocol):
    """A frozen dataclass: its fields are the attack's parameters, `apply` carries it out.

    Class attributes:
        family: registry name without its number ("gptq", "relearn").
        argument: the field that the number in a name sets ("bits" in gptq4), or None.
        version: raised whenever results can change.
        trains: needs trainable float weights (refuses quantised models).
    """

    family: ClassVar[str]
    argument: ClassVar[str | None]
    version: ClassVar[int]
    trains: ClassVar[bool]

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Change the model's weights in place.

        Returns:
            Diagnostics, JSON-serialisable; `flags` lists documented warnings.
        """
        ...


@runtime_checkable
class ReadsText(Protocol):
    """An attack that reads text of its own, besides what its context holds."""

    def own_text(self) -> Corpus | None:
        """That text, or None when the parameters name none.

        Raises:
            DataError: it cannot be read.
        """
        ...


ATTACKS: Registry[type[Attack]] = Registry(
    "attack",
    lazy={
        "none": "robust_unlearn_bench.attacks.none:NoAttack",
        "gptq": "robust_unlearn_bench.attacks.quantise.gptq:GPTQ",
        "rtn": "robust_unlearn_bench.attacks.quantise.rtn:RTN",
        "bnb_fp4": "robust_unlearn_bench.attacks.quantise.bnb:BnbFP4",
        "bnb_nf4": "robust_unlearn_bench.attacks.quantise.bnb:BnbNF4",
        "bnb_int8": "robust_unlearn_bench.attacks.quantise.bnb:BnbInt8",
        "prune": "robust_unlearn_bench.attacks.perturb.prune:Prune",
        "noise": "robust_unlearn_bench.attacks.perturb.noise:Noise",
        "relearn": "robust_unlearn_bench.attacks.relearn.forget_text:Relearn",
        "relearn_retain": "robust_unlearn_bench.attacks.relearn.forget_text:RelearnRetain",
        "relearn_const": "robust_unlearn_bench.attacks.relearn.forget_text:RelearnConst",
        "relearn_ep": "robust_unlearn_bench.attacks.relearn.forget_text:RelearnEpochs",
        "relearn_split": "robust_unlearn_bench.attacks.relearn.forget_text:RelearnSplit",
        "lora_relearn": "robust_unlearn_bench.attacks.relearn.low_rank:LoraRelearn",
        "finetune": "robust_unlearn_bench.attacks.relearn.benign:BenignFinetune",
    },
)
"""Attack family → class."""

NAME_A_SUITE = "name one (`suite: muse_books` beside the attack in the task's YAML, `--suite muse_books` of rub eval and rub attack)"
"""What to do where an attack needs the text of a suite, as the end of a sentence."""

C = TypeVar("C")


def attack(family: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: a frozen dataclass with `apply` becomes an attack family."""

    def enter(cls: type[C]) -> type[C]:
        ATTACKS.register(family)(cls)  # type: ignore[arg-type]  # checked by the registry's contract test
        return cls

    return enter


@dataclasses.dataclass(frozen=True, slots=True)
class AttackSpec:
    """One or several attacks, applied left to right."""

    steps: tuple[Attack, ...]

    @property
    def name(self) -> str:
        """Canonical text: `parse(spec.name) == spec`; parameters at their defaults are left out."""
        return "+".join(self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """Canonical text of each step."""
        return tuple(_step_name(step) for step in self.steps)

    @property
    def config(self) -> list[dict[str, Any]]:
        """Every parameter of every step, resolved."""
        return [
            {"attack": step.family, "version": step.version, **dataclasses.asdict(step)}  # type: ignore[call-overload]  # a dataclass
            for step in self.steps
        ]

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of `config`."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def trains(self) -> bool:
        """Whether any step needs trainable float weights."""
        return any(step.trains for step in self.steps)

    @property
    def is_none(self) -> bool:
        """Whether nothing is done to the weights."""
        return all(step.family == "none" for step in self.steps)


def parse(text: str | Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] | None = None) -> AttackSpec:
    """Read a spec from its name or from a mapping such as `{"attack": "relearn100", "lr": 2e-5}`.

    Args:
        text: the spec.
        defaults: family → parameters used where the spec gives none (a suite's own defaults).

    Raises:
        UnknownNameError: no such attack or parameter.
        ConfigError: the text cannot be read, or a value is out of range.
    """
    options: dict[str, Any] = {}
    if isinstance(text, Mapping):
        options = dict(text)
        name = options.pop("attack", None)
        if not isinstance(name, str):
            raise ConfigError(f"attack {dict(text)!r} has no 'attack' key: give one, such as attack: relearn50")
        text = name
    calls = _calls(text)
    if options and len(calls) > 1:
        raise ConfigError(f"attack {text!r} is a composition: write its parameters in parentheses, not beside it")
    for _, given in calls:
        if both := sorted(given.keys() & options.keys()):
            raise ConfigError(f"attack {text!r} is given {both[0]} twice: in parentheses and beside it")
        given.update(options)
    steps = [_step(name, given, defaults or {}) for name, given in calls]
    return AttackSpec(tuple(step for step in steps if step.family != "none") or tuple(steps[:1]))


def _calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of every step; a spec is a sum of names and calls in Python's grammar."""
    try:
        return list(_summands(ast.parse(text.strip(), mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"attack {text!r} cannot be read: write name(key=value,…), joined by '+'") from error


def _summands(node: ast.expr) -> Iterator[tuple[str, dict[str, Any]]]:
    """Raises: ValueError, where the expression is no sum of names and calls with keyword arguments."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _summands(node.left)
        yield from _summands(node.right)
    elif isinstance(node, ast.Name):
        yield node.id, {}
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        keys = [argument.arg for argument in node.keywords]
        if None in keys or len(set(keys)) < len(keys):
            raise ValueError("an argument without a key, or a key twice")
        yield node.func.id, {str(argument.arg): _literal(argument.value) for argument in node.keywords}
    else:
        raise ValueError(ast.unparse(node))


_WORDS = {"true": True, "false": False, "none": None}


def _literal(node: ast.expr) -> Any:
    """A Python literal, or a bare word as a string."""
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), node.id)
    return ast.literal_eval(node)


def _show(value: Any) -> str:
    """The text that `_literal` reads back as the value."""
    bare = isinstance(value, str) and value.isascii() and value.isidentifier()
    return value if bare and not keyword.iskeyword(value) and value.lower() not in _WORDS else repr(value)


def _family(name: str) -> tuple[str, int | None]:
    """The registered family behind a name, and the number in the name: relearn50_retain → (relearn_retain, 50)."""
    if name in ATTACKS:
        return name, None
    match = re.fullmatch(r"([a-z_A-Z0-9]*?[a-zA-Z_])(\d+)(_[a-z_]+)?", name)
    if match and (family := match[1] + (match[3] or "")) in ATTACKS and ATTACKS[family].argument is not None:
        return family, int(match[2])
    raise UnknownNameError("attack", name, [_step_name(ATTACKS[family]()) for family in ATTACKS])


def _step(name: str, options: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> Attack:
    family, number = _family(name)
    argument = ATTACKS[family].argument
    values = {**defaults.get(family, {}), **options}
    if number is not None and argument is not None:
        if options.get(argument, number) != number:
            raise ConfigError(f"attack {name!r} says {argument}={number} in its name and {options[argument]} beside it")
        values[argument] = number
    for key, value in values.items():
        values[key] = value = _number(value) if _wants_float(ATTACKS[family], key) else value
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"attack {name!r} has {key}={value}: give a finite number")
    return configured(cast(Registry[Callable[..., Attack]], ATTACKS), family, values)


def _wants_float(cls: type[Attack], key: str) -> bool:
    return isinstance(getattr(cls(), key, None), float)


def _number(value: Any) -> Any:
    """YAML reads 2e-5 as a string; a parameter that is a float takes it as the number it looks like."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _step_name(step: Attack) -> str:
    """gptq4, relearn50_retain, relearn50(lr=2e-05): number from the `argument` field, other fields when not default."""
    cls = type(step)
    values = {f.name: getattr(step, f.name) for f in dataclasses.fields(step)}  # type: ignore[arg-type]  # a dataclass
    defaults = cls()
    number = str(values.pop(cls.argument)) if cls.argument else ""
    stem, _, tail = (
        step.family.partition("_") if cls.argument and step.family.endswith("_retain") else (step.family, "", "")
    )
    shown = ",".join(f"{k}={_show(v)}" for k, v in values.items() if v != getattr(defaults, k))
    return f"{stem}{number}{'_' + tail if tail else ''}{f'({shown})' if shown else ''}"
