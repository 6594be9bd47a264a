"""Python classes as JSON: the plain form of objects, and response formats made of classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from iron_sdk._errors import ConfigError

Parse = Callable[[str], Any]


class ResponseFormat(NamedTuple):
    """What is sent, and how the text that comes back is read."""

    field: Mapping[str, Any]
    parse: Parse | None
    names: frozenset[str] = frozenset()
    """The keys that a class has."""


_formats: WeakKeyDictionary[type, ResponseFormat] = WeakKeyDictionary()


def plain(value: object) -> object:
    """Give the plain form of an object that is not plain itself, one level deep.

    Called by the native module for values that JSON has no form for.

    Returns:
        A dict or list, or NotImplemented if the object has no such form.
    """
    if isinstance(value, type):
        return NotImplemented
    form: object = NotImplemented
    dump: Callable[..., object] | None = getattr(value, "model_dump", None)
    fields: Mapping[str, object] | None = getattr(value, "__dataclass_fields__", None)
    if dump is not None:
        form = dump(mode="json", by_alias=True, exclude_none=True)
    elif fields is not None:
        form = {name: getattr(value, name) for name in fields}
    elif isinstance(value, Mapping):
        form = dict(cast("Mapping[object, object]", value))
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        form = list(cast("Sequence[object]", value))
    return form


def response_format(given: object) -> ResponseFormat:
    """Lower the argument `response_format`.

    Args:
        given: A Pydantic model, a dataclass, a TypedDict, or a mapping as OpenAI shapes it.

    Raises:
        ConfigError: It is something else, or a class with fields that JSON Schema has no words for.
    """
    if isinstance(given, Mapping):
        return ResponseFormat(cast("Mapping[str, Any]", given), None)
    if not isinstance(given, type):
        kind = type(given).__name__
        raise ConfigError(
            f"response_format is of type {kind}; give a Pydantic model, a dataclass, a TypedDict or a mapping"
        )
    known = _formats.get(given)
    if known is None:
        known = _formats[given] = _of_class(given)
    return known


def is_typed_dict(kind: type) -> bool:
    """Tell whether a class is a TypedDict, of `typing` or of `typing_extensions`."""
    return hasattr(kind, "__total__") and issubclass(kind, dict)


def _of_class(kind: type) -> ResponseFormat:
    describe = getattr(kind, "model_json_schema", None)
    if describe is not None:
        schema = _rooted(cast("dict[str, Any]", describe()))
        parse = cast("Parse", kind.model_validate_json)  # type: ignore[attr-defined]
    elif hasattr(kind, "__dataclass_fields__") or is_typed_dict(kind):
        from iron_sdk import _dataclass

        schema = _dataclass.schema(kind)
        parse = _dataclass.parser(kind)
    else:
        raise ConfigError(
            f"response_format is the class {kind.__name__}; give a Pydantic model, a dataclass or a TypedDict"
        )
    strict = not _is_open(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", kind.__name__)[:64]
    described = {"name": name, "schema": _closed(schema) if strict else schema, "strict": strict}
    return ResponseFormat({"type": "json_schema", "json_schema": described}, parse, frozenset(_names(schema)))


def _names(schema: object) -> Iterator[str]:
    """Give the keys that a schema names."""
    if isinstance(schema, list):
        for entry in cast("list[object]", schema):
            yield from _names(entry)
    if isinstance(schema, dict):
        fields = cast("dict[str, Any]", schema)
        yield from fields["properties"] if isinstance(fields.get("properties"), dict) else ()
        for value in fields.values():
            yield from _names(value)


def _rooted(schema: dict[str, Any]) -> dict[str, Any]:
    """Put an object at the root, as strict mode wants; a model that holds itself has a reference there."""
    if "$ref" not in schema:
        return schema
    return {**schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]], "$defs": schema["$defs"]}


def _is_open(schema: object) -> bool:
    """Whether some object may have keys that the schema does not name, which strict mode cannot hold."""
    if isinstance(schema, list):
        return any(_is_open(entry) for entry in cast("list[object]", schema))
    if not isinstance(schema, dict):
        return False
    fields = cast("dict[str, object]", schema)
    if fields.get("type") == "object" and ("properties" not in fields or fields.get("additionalProperties")):
        return True
    return any(_is_open(value) for value in fields.values())


def _closed(schema: object) -> object:
    """Close every object and require all its properties, as strict mode demands."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("dict[str, Any]", schema)
    if "$ref" in fields:
        return {"$ref": fields["$ref"]}
    closed = {
        # A property may be called "default".
        key: {name: _closed(inner) for name, inner in value.items()}
        if key in ("properties", "$defs")
        else _closed(value)
        for key, value in fields.items()
        if key != "default"
    }
    if "properties" in closed:
        closed["additionalProperties"] = False
        closed["required"] = list(fields["properties"])
    return closed
