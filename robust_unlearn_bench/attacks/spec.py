"""Attack specs: how an attack is written, printed and identified.

A spec is one attack, or several applied left to right:

    gptq4    relearn50    relearn100(lr=2e-05,seed=1)    relearn50+gptq4

Equal specs print the same canonical text and have the same digest. Code that needs to know the parameters of an attack
reads the steps of a spec, or the `config` stored in results; no code parses a printed name.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..configure import configured
from ..errors import ConfigError, UnknownNameError
from .attack import ATTACKS, Attack

__all__ = ["AttackSpec", "Label", "digest_of", "label_of", "parse"]


class Label(NamedTuple):
    """Notation of an attack family: `relearn{k}_retain` is ("relearn", "k", "_retain").

    Attributes:
        before: text before the number, or the whole name if the family has no number.
        field: name of the parameter that the number sets, or "" if there is no number.
        after: text after the number.
    """

    before: str
    field: str
    after: str

    def text(self, number: object) -> str:
        """The name with this number; families that are not numbered ignore it."""
        return f"{self.before}{number if self.field else ''}{self.after}"

    def number(self, name: str) -> int | None:
        """Return the number in a name of this notation, or None if the name has another."""
        digits = name.removeprefix(self.before).removesuffix(self.after)
        fits = self.field and name == f"{self.before}{digits}{self.after}" and digits.isascii() and digits.isdecimal()
        return int(digits) if fits else None


def label_of(family: str) -> Label:
    """Return the notation of a registered attack family.

    Raises:
        UnknownNameError: there is no such attack.
    """
    before, opening, rest = ATTACKS.facts(family).get("label", family).partition("{")
    field, _, after = rest.partition("}")
    return Label(before, field, after) if opening else Label(before, "", "")


@dataclasses.dataclass(frozen=True, slots=True)
class AttackSpec:
    """One or more attacks, applied left to right."""

    steps: tuple[Attack, ...]

    @property
    def name(self) -> str:
        """Canonical text without default parameters, such that `parse(spec.name) == spec`."""
        return "+".join(self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """Canonical text of each step."""
        return tuple(_step_name(step) for step in self.steps)

    @property
    def label(self) -> str:
        """Name for display, without the parameters in parentheses: `relearn50+gptq4`."""
        return "+".join(_step_label(step) for step in self.steps)

    @property
    def config(self) -> list[dict[str, Any]]:
        """Name, version and resolved parameters of every step."""
        return [
            {"attack": step.name, "version": step.version, **dataclasses.asdict(step)}  # type: ignore[call-overload]  # a dataclass
            for step in self.steps
        ]

    @property
    def in_full(self) -> str:
        """Text with every parameter of every step, such that `parse` gives this spec whatever a suite's defaults are."""
        return "+".join(
            f"{step['attack']}({','.join(f'{k}={_show(v)}' for k, v in step.items() if k not in ('attack', 'version'))})"
            for step in self.config
        )

    @classmethod
    def of_config(cls, config: Sequence[Mapping[str, Any]]) -> AttackSpec:
        """Read a spec back from its `config`.

        Raises:
            UnknownNameError: there is no such attack or parameter.
            ConfigError: a value is out of range, or an attack has another version here.
        """
        steps = []
        for step in config:
            family, version = str(step.get("attack")), step.get("version")
            if (here := ATTACKS[family].version) != version:
                raise ConfigError(
                    f"attack {family} has version {version} in this configuration and {here} in this installation: "
                    "run it with the release that it was written with"
                )
            values = {key: value for key, value in step.items() if key not in ("attack", "version")}
            steps.append(configured(ATTACKS, family, values))
        return cls(tuple(steps))

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of `config`."""
        return digest_of(self.config)

    @property
    def trains(self) -> bool:
        """True if any step trains the model."""
        return any(step.trains for step in self.steps)

    @property
    def is_none(self) -> bool:
        """True if no step changes the weights."""
        return all(step.name == "none" for step in self.steps)


def digest_of(config: Sequence[Mapping[str, Any]]) -> str:
    """First 12 hex digits of the SHA-256 of the resolved parameters of every step, as results and records hold them."""
    return hashlib.sha256(json.dumps(list(config), sort_keys=True).encode()).hexdigest()[:12]


def parse(text: str | Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] | None = None) -> AttackSpec:
    """Read a spec from its name or from a mapping such as `{"attack": "relearn100", "lr": 2e-5}`.

    Args:
        text: spec as text, or as a mapping with the key "attack" and parameters.
        defaults: parameters by attack family, used where the spec sets none (a suite's own defaults).

    Raises:
        UnknownNameError: there is no such attack or parameter.
        ConfigError: the text cannot be read, or a value is out of range.
        PluginError: the attack comes from another distribution and cannot be used.
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
        raise ConfigError(
            f"attack {text!r} is a composition: write the parameters of each step in parentheses, not as separate keys"
        )
    for _, given in calls:
        if both := sorted(given.keys() & options.keys()):
            raise ConfigError(
                f"attack {text!r} is given {both[0]} twice, in parentheses and as a separate key: leave one out"
            )
        given.update(options)
    steps = [_step(name, given, defaults or {}) for name, given in calls]
    return AttackSpec(tuple(step for step in steps if step.name != "none") or tuple(steps[:1]))


# --- text ----------------------------------------------------------------------------------------------------------


def _split(text: str, separator: str) -> Iterator[str]:
    """Split a text at the separators outside brackets and quotes, and strip the parts.

    Raises:
        ValueError: brackets or quotes are unbalanced.
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
    """Return the name and arguments of every step.

    Raises:
        ConfigError: a step does not have the form name or name(key=value,…).
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
    """Parse true, false, none or a Python literal; return any other text unchanged."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _show(value: Any) -> str:
    """Write a value in such a way that `_value` reads it back."""
    bare = isinstance(value, str) and value.isascii() and value.isidentifier()
    return value if bare and _value(value) == value else repr(value)


# --- steps ---------------------------------------------------------------------------------------------------------


def _family(name: str) -> tuple[str, int | None]:
    """Return the registered family of a name, and the number in the name: relearn50_retain → (relearn_retain, 50)."""
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
            raise ConfigError(f"attack {name!r} has {field}={number} in its name but {options[field]} as a parameter")
        values[field] = number
    for key, value in values.items():
        values[key] = value = _number(value) if _wants_float(ATTACKS[family], key) else value
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"attack {name!r} has {key}={value}: give a finite number")
    return configured(ATTACKS, family, values)


def _wants_float(cls: type[Attack], key: str) -> bool:
    return isinstance(getattr(cls(), key, None), float)


def _number(value: Any) -> Any:
    """Convert the text of a float parameter to a number, because YAML reads 2e-5 as a string."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _step_label(step: Attack) -> str:
    """Return the family's label with its number, such as gptq4 or relearn50_retain."""
    label = label_of(step.name)
    return label.text(getattr(step, label.field) if label.field else None)


def _step_name(step: Attack) -> str:
    """Return the label, then every other parameter that differs from its default: relearn50(lr=2e-05)."""
    field, defaults = label_of(step.name).field, type(step)()
    values = {f.name: getattr(step, f.name) for f in dataclasses.fields(step) if f.name != field}  # type: ignore[arg-type]  # a dataclass
    shown = ",".join(f"{k}={_show(v)}" for k, v in values.items() if v != getattr(defaults, k))
    return _step_label(step) + (f"({shown})" if shown else "")
