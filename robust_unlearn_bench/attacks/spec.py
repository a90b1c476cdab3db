"""Attack specs: how an attack is written, printed and identified.

A spec is one attack, or several applied left to right:

    gptq4    relearn50    relearn100(lr=2e-05,seed=1)    relearn50+gptq4

Equal specs print the same canonical text and have the same digest. Everything that has to know what an attack is reads
the steps of a spec, or the `config` that results carry; nothing takes a printed name apart again.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..configure import configured
from ..errors import ConfigError, UnknownNameError
from .attack import ATTACKS, Attack

__all__ = ["AttackSpec", "Label", "label_of", "parse"]


class Label(NamedTuple):
    """How a family is written: `relearn{k}_retain` is ("relearn", "k", "_retain").

    Attributes:
        before: text in front of the number, or the whole name where there is none.
        field: the parameter that the number sets, or "".
        after: text behind the number.
    """

    before: str
    field: str
    after: str

    def text(self, number: object) -> str:
        """The name with this number; families that are not numbered ignore it."""
        return f"{self.before}{number if self.field else ''}{self.after}"

    def number(self, name: str) -> int | None:
        """The number in a name that is written like this, or None."""
        digits = name.removeprefix(self.before).removesuffix(self.after)
        fits = self.field and name == f"{self.before}{digits}{self.after}" and digits.isascii() and digits.isdecimal()
        return int(digits) if fits else None


def label_of(family: str) -> Label:
    """How a registered attack family is written.

    Raises:
        UnknownNameError: there is no such attack.
    """
    before, opening, rest = ATTACKS.facts(family).get("label", family).partition("{")
    field, _, after = rest.partition("}")
    return Label(before, field, after) if opening else Label(before, "", "")


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
    def label(self) -> str:
        """The name without parameters in parentheses, for people: `relearn50+gptq4`."""
        return "+".join(_step_label(step) for step in self.steps)

    @property
    def config(self) -> list[dict[str, Any]]:
        """Every parameter of every step, resolved."""
        return [
            {"attack": step.name, "version": step.version, **dataclasses.asdict(step)}  # type: ignore[call-overload]  # a dataclass
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
        return all(step.name == "none" for step in self.steps)


def parse(text: str | Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] | None = None) -> AttackSpec:
    """Read a spec from its name or from a mapping such as `{"attack": "relearn100", "lr": 2e-5}`.

    Args:
        text: the spec.
        defaults: family → parameters used where the spec gives none (a suite's own defaults).

    Raises:
        UnknownNameError: no such attack or parameter.
        ConfigError: the text cannot be read, or a value is out of range.
        PluginError: another distribution brings the attack, and it cannot be used.
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
    return AttackSpec(tuple(step for step in steps if step.name != "none") or tuple(steps[:1]))


# --- text ----------------------------------------------------------------------------------------------------------


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts of a text between separators that stand outside brackets and quotes, without surrounding blanks.

    Raises:
        ValueError: a bracket or quote is not closed, or closed twice.
    """
    depth, quote, escaped, start = 0, "", False, 0
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            yield text[start:i].strip()
            start = i + 1
        if depth < 0:
            raise ValueError(text)
    if depth or quote:
        raise ValueError(text)
    yield text[start:].strip()


def _calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of every step.

    Raises:
        ConfigError: a step is not written as name or name(key=value,…).
    """
    try:
        return [_call(part) for part in _split(text, "+")]
    except ValueError as error:
        raise ConfigError(f"attack {text!r} cannot be read: write name(key=value,…), joined by '+'") from error


def _call(part: str) -> tuple[str, dict[str, Any]]:
    name, opening, inside = (piece.strip() for piece in part.partition("("))
    if not name.isidentifier() or (opening and not inside.endswith(")")):
        raise ValueError(part)
    arguments: dict[str, Any] = {}
    for argument in _split(inside[:-1], ",") if inside[:-1].strip() else ():
        key, _, value = (piece.strip() for piece in argument.partition("="))
        if not key.isidentifier() or not value or key in arguments:
            raise ValueError(part)
        arguments[key] = _value(value)
    return name, arguments


_WORDS = {"true": True, "false": False, "none": None}


def _value(text: str) -> Any:
    """A Python literal; anything else is a string as it stands."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _show(value: Any) -> str:
    """The text that `_value` reads back as the value."""
    bare = isinstance(value, str) and value.isascii() and value.isidentifier()
    return value if bare and _value(value) == value else repr(value)


# --- steps ---------------------------------------------------------------------------------------------------------


def _family(name: str) -> tuple[str, int | None]:
    """The registered family that a name is written like, and its number: relearn50_retain → (relearn_retain, 50)."""
    if name in ATTACKS:
        return name, None
    for family in ATTACKS:
        if (number := label_of(family).number(name)) is not None:
            return family, number
    raise UnknownNameError("attack", name, [_step_name(ATTACKS[family]()) for family in ATTACKS])


def _step(name: str, options: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> Attack:
    family, number = _family(name)
    field = label_of(family).field
    values = {**defaults.get(family, {}), **options}
    if number is not None:
        if options.get(field, number) != number:
            raise ConfigError(f"attack {name!r} says {field}={number} in its name and {options[field]} beside it")
        values[field] = number
    for key, value in values.items():
        values[key] = value = _number(value) if _wants_float(ATTACKS[family], key) else value
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"attack {name!r} has {key}={value}: give a finite number")
    return configured(ATTACKS, family, values)


def _wants_float(cls: type[Attack], key: str) -> bool:
    return isinstance(getattr(cls(), key, None), float)


def _number(value: Any) -> Any:
    """YAML reads 2e-5 as a string; a parameter that is a float takes it as the number it looks like."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _step_label(step: Attack) -> str:
    """gptq4, relearn50_retain: the family's label with its number."""
    label = label_of(step.name)
    return label.text(getattr(step, label.field) if label.field else None)


def _step_name(step: Attack) -> str:
    """relearn50(lr=2e-05): the label, then every other parameter that is not at its default."""
    field, defaults = label_of(step.name).field, type(step)()
    values = {f.name: getattr(step, f.name) for f in dataclasses.fields(step) if f.name != field}  # type: ignore[arg-type]  # a dataclass
    shown = ",".join(f"{k}={_show(v)}" for k, v in values.items() if v != getattr(defaults, k))
    return _step_label(step) + (f"({shown})" if shown else "")
