"""Embeddings: a vector for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast, overload

from iron_sdk._override import override
from iron_sdk._types import Governed, facts

if TYPE_CHECKING:
    from iron_sdk import _iron


class Embeddings(Governed, Sequence["list[float]"]):
    """Vectors, one for each text, in the order of the texts."""

    __slots__ = ("_vectors",)

    def __init__(self, native: _iron.Reply) -> None:
        super().__init__(native)
        self._vectors: list[list[float]] | None = None

    def _read(self) -> list[list[float]]:
        if self._vectors is None:
            entries = sorted(self.json()["data"], key=lambda entry: cast("int", entry["index"]))
            self._vectors = [_vector(entry["embedding"]) for entry in entries]
        return self._vectors

    @override
    def __len__(self) -> int:
        return len(self._read())

    @overload
    def __getitem__(self, index: int) -> list[float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[float]]: ...
    @override
    def __getitem__(self, index: int | slice) -> list[float] | list[list[float]]:
        return self._read()[index]

    @override
    def __repr__(self) -> str:
        return f"<Embeddings of {self.upstream}: {self.usage.input_tokens} tokens, {self._native.cost()} USD>"

    def _repr_html_(self) -> str:
        size = len(self[0]) if self else 0
        return facts("Embeddings", self, {"vectors": f"{len(self)} of {size} numbers"})


def _vector(embedding: list[float] | str) -> list[float]:
    if not isinstance(embedding, str):
        return embedding
    # encoding_format="base64": little-endian 32-bit floats.
    import sys
    from array import array
    from base64 import b64decode

    vector = array("f", b64decode(embedding))
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tolist()
