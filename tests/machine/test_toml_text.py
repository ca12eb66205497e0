"""Values are exchanged in a text that a person wrote, and nothing else of it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.machine import load_beamline, shipped_beamlines
from spotline.machine.toml_text import Path, Scan, formatted, with_value, without

TEXT = """\
# Of the whole.
name = "a # b"    # [A]

[one.x]
long = [
    1.0, # first
    2.0,
]
inline = { a = 1, "b c" = 'x' } # [B]

# Above.
[[many]]
k = 1
[[many.deep]]
k = 2                                   # [C]
[[many]]
k = 3 # [D]
"""


def values_of(text: str) -> dict[Path, Any]:
    """Every value of a text by its path, as the parser of the standard library sees it."""
    found: dict[Path, Any] = {}

    def walk(node: Any, path: Path) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found[(*path, key)] = value
            if isinstance(value, dict | list):
                walk(value, (*path, key))

    walk(tomllib.loads(text), ())
    return found


SHIPPED = [load_beamline(name).files["beamline.toml"].decode() for name in shipped_beamlines()]


@pytest.mark.parametrize("text", [TEXT, *SHIPPED])
def test_every_value_is_found_where_it_stands(text: str):
    scan, expected = Scan(text), values_of(text)
    for path, value in scan.values.items():
        assert tomllib.loads(f"v = {text[value.start : value.end]}")["v"] == expected[path]
    leaves = {path for path, value in expected.items() if not isinstance(value, dict | list)}
    assert leaves <= scan.values.keys()


def test_a_value_and_its_comment_are_exchanged():
    after = with_value(TEXT, ("many", 0, "deep", 0, "k"), 25, "[NEW]")
    assert after == TEXT.replace(f"k = 2{' ' * 35}# [C]", f"k = 25{' ' * 34}# [NEW]")
    assert with_value(TEXT, ("name",), "c", "") == TEXT.replace('"a # b"', '"c"')
    assert "k = 30 # [E]\n" in with_value(TEXT, ("many", 1, "k"), 30, "[E]")
    assert f"k = 10{' ' * 34}# [E]\n" in with_value(TEXT, ("many", 0, "k"), 10, "[E]")


def test_a_comment_of_several_values_is_kept_behind_the_new_one():
    after = with_value(TEXT, ("one", "x", "inline", "b c"), "y", "[NEW]")
    assert 'inline = { a = 1, "b c" = "y" } # [NEW]; [B]\n' in after


def test_a_new_key_goes_to_the_end_of_its_table():
    after = with_value(TEXT, ("one", "x", "odd key"), [1.5], "[NEW]")
    assert f'# [B]\n"odd key" = [1.5]{" " * 23}# [NEW]\n\n# Above.\n' in after
    assert tomllib.loads(with_value(TEXT, ("one", "x", "inline", "d"), 2, ""))["one"]["x"]["inline"]["d"] == 2


def test_a_new_table_goes_behind_the_one_before_it():
    after = with_value(TEXT, ("two", "k"), 1, "[NEW]", order=("one", "two", "many"))
    assert f"\n[two]\nk = 1{' ' * 35}# [NEW]\n\n# Above.\n[[many]]" in after
    assert with_value(TEXT, ("three", "k"), 1, "").endswith("\n[three]\nk = 1\n")


def test_what_is_removed_takes_its_comments_along():
    assert without(TEXT, ("many",)) == TEXT[: TEXT.index("\n# Above.")]
    assert without(TEXT, ("many", 1, "k")) == TEXT.replace("k = 3 # [D]\n", "")
    assert "inline = { a = 1 } # [B]" in without(TEXT, ("one", "x", "inline", "b c"))
    assert """inline = { "b c" = 'x' } # [B]""" in without(TEXT, ("one", "x", "inline", "a"))
    with pytest.raises(ValueError, match=r"one\.y"):
        without(TEXT, ("one", "y"))


def test_numbers_are_written_as_a_person_does():
    assert [formatted(value) for value in (200.0, 6.1e7, 1e-5, 0.0, -2.5e8, 3, True)] == [
        "200.0", "6.1e7", "1.0e-5", "0.0", "-2.5e8", "3", "true",
    ]  # fmt: skip


WORDS = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | WORDS


@given(
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=6,
    )
)
def test_what_is_written_reads_the_same(value: Any):
    after = with_value(TEXT, ("one", "x", "inline"), value, "[NEW]")
    assert tomllib.loads(after)["one"]["x"]["inline"] == value
    assert Scan(after).values.keys() >= {("one", "x", "inline"), ("many", 1, "k")}
