"""Registered dataclasses, built from user-written mappings; unknown keys and wrong types give one-sentence errors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, get_type_hints

from .errors import ConfigError, UnknownNameError
from .registry import Registry

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = ["OneOf", "configured"]

T = TypeVar("T")


def configured(registry: Registry[type[T]], name: str, values: Mapping[str, Any]) -> T:
    """Build the registered dataclass of that name.

    Args:
        registry: name → frozen dataclass.
        name: registered name of the dataclass.
        values: field → value, as read from YAML or JSON (a list stands for a tuple, an int for a float).

    Raises:
        UnknownNameError: there is no such name or field.
        ConfigError: a value has the wrong type or is out of range.
    """
    from pydantic import TypeAdapter, ValidationError

    cls: Any = registry[name]
    hints = get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(cls)]
    checked = {}
    for key, value in values.items():
        if key not in fields:
            raise UnknownNameError(f"key of {registry.kind} {name}", key, fields)
        try:
            checked[key] = TypeAdapter(hints[key]).validate_json(json.dumps(value), strict=True)
        except (ValidationError, TypeError) as error:
            detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            message = detail[0].lower() + detail[1:]
            raise ConfigError(f"{registry.kind} {name} has {key}={value!r}: {message}") from error
    built: T = cls(**checked)
    return built


class OneOf(Generic[T]):
    """Annotation of a pydantic field that holds one registered dataclass: `Annotated[Objective, OneOf(OBJECTIVES)]`.

    The field is read from {name: …, its parameters} and dumped with every parameter, defaults included.

    Args:
        registry: registry in which the name is looked up.
    """

    def __init__(self, registry: Registry[type[T]]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        """Validate by `configured`, serialise as a mapping."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(_dump)
        )

    def _read(self, value: Any) -> T:
        if dataclasses.is_dataclass(value):
            return cast(T, value)  # configured already, in Python
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            kind = self.registry.kind
            raise ConfigError(f"{kind} {value!r} cannot be read: write {kind.split()[0]}: {{name: …}}")
        return configured(self.registry, value["name"], {k: v for k, v in value.items() if k != "name"})


def _dump(member: Any) -> dict[str, Any]:
    return {"name": member.name, **dataclasses.asdict(member)}
