"""What the package shows."""

from __future__ import annotations

import inspect
import pickle

import pytest

import iron_sdk as iron


def test_all_is_sorted_and_complete():
    assert iron.__all__ == sorted(iron.__all__) == dir(iron)
    for name in iron.__all__:
        getattr(iron, name)
    public = {
        name for name, value in vars(iron).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == {name for name in iron.__all__ if not name.startswith("_")}


@pytest.mark.parametrize("name", [name for name in iron.__all__ if not name.startswith("_")])
def test_every_name_lives_where_users_find_it(name):
    value = getattr(iron, name)
    assert value.__module__ == "iron_sdk"
    assert value.__doc__
    assert pickle.loads(pickle.dumps(value)) is value


@pytest.mark.parametrize("name", [name for name in iron.__all__ if inspect.isclass(getattr(iron, name))])
def test_every_public_member_is_documented(name):
    kind = getattr(iron, name)
    for member, value in vars(kind).items():
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{member}"
