"""Dataclasses as response formats: their JSON Schema, and instances from JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from iron_sdk._errors import ConfigError

_SCALARS: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def schema(kind: type) -> dict[str, Any]:
    """Describe a dataclass.

    Raises:
        ConfigError: A field's type has no JSON form.
    """
    definitions: dict[str, Any] = {}
    described = _Describer(definitions).object(kind)
    return {**described, "$defs": definitions} if definitions else described


def parser(kind: type) -> Callable[[str], Any]:
    """Give a function that reads an instance of a dataclass from JSON text, or raises ValueError."""

    def parse(text: str) -> object:
        return _build(kind, json.loads(text), kind.__name__)

    return parse


class _Describer:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions

    def object(self, kind: type) -> dict[str, Any]:
        hints = typing.get_type_hints(kind)
        fields = [field for field in dataclasses.fields(kind) if field.init]
        properties = {
            field.name: self.type(hints[field.name], f"{kind.__name__}.{field.name}") for field in fields
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def type(self, hint: Any, where: str) -> dict[str, Any]:  # noqa: ANN401, PLR0911 - one case a line
        if hint in _SCALARS:
            return {"type": _SCALARS[hint]}
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Literal:
            return {"enum": list(arguments)}
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.type(argument, where) for argument in arguments]}
        if origin in (list, Sequence) or (origin is tuple and arguments[1:] == (...,)):
            return {"type": "array", "items": self.type(arguments[0], where)}
        if origin in (dict, Mapping) and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.type(arguments[1], where)}
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {"enum": [member.value for member in hint]}
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            if hint.__name__ not in self.definitions:
                # Entered first, so that a class may hold itself.
                self.definitions[hint.__name__] = {}
                self.definitions[hint.__name__] = self.object(hint)
            return {"$ref": f"#/$defs/{hint.__name__}"}
        raise ConfigError(
            f"response_format: {where} is annotated {hint!r}; use str, int, float, bool, None, Literal, "
            "Enum, list, dict with str keys, a union of these, or a dataclass"
        )


def _build(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401, C901, PLR0911 - one case a line
    if hint is float and type(value) is int:
        return float(value)
    if hint in _SCALARS:
        # Not isinstance: True is no int.
        return value if type(value) is hint else _mismatch(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value if value in arguments else _mismatch(hint, value, where)
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            try:
                return _build(argument, value, where)
            except ValueError:  # noqa: PERF203 - which alternative it is shows in trying
                continue
        return _mismatch(hint, value, where)
    if origin in (dict, Mapping) and isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return {key: _build(arguments[1], entry, f"{where}.{key}") for key, entry in entries.items()}
    if origin in (list, Sequence, tuple) and isinstance(value, list):
        elements = cast("list[object]", value)
        built = [_build(arguments[0], entry, f"{where}[{index}]") for index, entry in enumerate(elements)]
        return tuple(built) if origin is tuple else built
    kind: object = hint
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _instance(kind, cast("dict[str, Any]", value), where)
    return _mismatch(hint, value, where)


def _instance(kind: type, value: dict[str, Any], where: str) -> object:
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    given = {name: _build(hints[name], value[name], f"{where}.{name}") for name in known & value.keys()}
    try:
        return cast("object", kind(**given))
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _mismatch(hint: object, value: object, where: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{where} is of type {type(value).__name__}, not {getattr(hint, '__name__', hint)}")
