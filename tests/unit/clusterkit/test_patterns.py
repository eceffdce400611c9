"""Hadoop's patterns."""

from __future__ import annotations

import pytest

from clusterkit.patterns import expanded, is_pattern, is_plain, matcher, unescaped


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["", "a", "a\nb"], []),
        ("a*c", ["ac", "abbc"], ["ab", "xac"]),
        ("?", ["a", "é"], ["", "ab"]),
        ("[abc]x", ["ax", "cx"], ["dx", "x"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("[^a-c]", ["d"], ["b"]),
        ("[!a]", ["b"], ["a"]),
        (r"\*", ["*"], ["a"]),
        ("part-[0-9]*", ["part-00000"], ["part-x"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[z-a]", ["[z-a]"], ["m"]),
        ("[", ["["], ["a"]),
    ],
)
def test_components(pattern: str, yes: list[str], no: list[str]) -> None:
    for name in yes:
        assert matcher(pattern).fullmatch(name), name
    for name in no:
        assert not matcher(pattern).fullmatch(name), name


@pytest.mark.parametrize(
    ("pattern", "results"),
    [
        ("/a", ["/a"]),
        ("/{a,b}", ["/a", "/b"]),
        ("/{a,b/c}/d{1,2}", ["/a/d1", "/a/d2", "/b/c/d1", "/b/c/d2"]),
        ("/{a,{b,c}}", ["/a", "/b", "/c"]),
        ("/{a", ["/{a"]),
        (r"/\{a,b}", [r"/\{a,b}"]),
        ("/{}", ["/"]),
    ],
)
def test_braces(pattern: str, results: list[str]) -> None:
    assert list(expanded(pattern)) == results


def test_what_is_a_pattern() -> None:
    assert is_pattern("a*")
    assert not is_pattern("a b'c")
    assert is_plain(r"a\*b")
    assert not is_plain("a*b")
    assert unescaped(r"a\*b") == "a*b"
