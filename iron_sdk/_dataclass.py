"""Dataclasses and TypedDicts as response formats: their JSON Schema, and instances from JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from iron_sdk._errors import ConfigError
from iron_sdk._schema import is_typed_dict

_SCALARS: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def schema(kind: type) -> dict[str, Any]:
    """Describe a dataclass or a TypedDict.

    Raises:
        ConfigError: A field's type has no JSON form.
    """
    definitions: dict[str, Any] = {}
    described = _Describer(definitions).object(kind)
    return {**described, "$defs": definitions} if definitions else described


def parser(kind: type) -> Callable[[str], Any]:
    """Give a function that reads an instance of such a class from JSON text, or raises ValueError."""

    def parse(text: str) -> object:
        return _build(kind, json.loads(text), kind.__name__)

    return parse


def _has_fields(kind: type) -> bool:
    return is_typed_dict(kind) or dataclasses.is_dataclass(kind)


def _fields(kind: type) -> dict[str, Any]:
    """Give the types of what an instance is made of."""
    hints = typing.get_type_hints(kind)
    if is_typed_dict(kind):
        return {name: _unqualified(hint) for name, hint in hints.items()}
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _unqualified(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    # Those of `typing_extensions` are left by a Python that has none of its own.
    while getattr(typing.get_origin(hint), "_name", None) in {"Required", "NotRequired", "ReadOnly"}:
        (hint,) = typing.get_args(hint)
    return hint


class _Describer:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions

    def object(self, kind: type) -> dict[str, Any]:
        properties = {
            name: self.type(hint, f"{kind.__name__}.{name}") for name, hint in _fields(kind).items()
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
        if isinstance(hint, type) and _has_fields(hint):
            if hint.__name__ not in self.definitions:
                # Entered first, so that a class may hold itself.
                self.definitions[hint.__name__] = {}
                self.definitions[hint.__name__] = self.object(hint)
            return {"$ref": f"#/$defs/{hint.__name__}"}
        raise ConfigError(
            f"response_format: {where} is annotated {hint!r}; use str, int, float, bool, None, Literal, "
            "Enum, list, dict with str keys, a union of these, a dataclass, or a TypedDict"
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
    if isinstance(kind, type) and is_typed_dict(kind) and isinstance(value, dict):
        return _entries(kind, cast("dict[str, Any]", value), where)
    return _mismatch(hint, value, where)


def _entries(kind: type, value: dict[str, Any], where: str) -> dict[str, Any]:
    hints = _fields(kind)
    if missing := sorted(hints.keys() - value.keys()):
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    return {name: _build(hint, value[name], f"{where}.{name}") for name, hint in hints.items()}


def _instance(kind: type, value: dict[str, Any], where: str) -> object:
    hints = _fields(kind)
    given = {
        name: _build(hint, value[name], f"{where}.{name}") for name, hint in hints.items() if name in value
    }
    try:
        return cast("object", kind(**given))
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _mismatch(hint: object, value: object, where: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{where} is of type {type(value).__name__}, not {getattr(hint, '__name__', hint)}")
