import pytest

from clearml_ci.core import formatting


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (119, "119 s"), (720, "12 min"), (18_000, "5 h"), (777_600, "9 days")]
)
def test_duration__seconds__have_one_unit(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (1_234, "1,234 findings")]
)
def test_count__number__has_its_plural(number: int, text: str) -> None:
    assert formatting.count(number, "finding") == text


@pytest.mark.parametrize(("text", "capital"), [("a B", "A B"), ("", ""), ("élan", "Élan"), ("1 gate", "1 gate")])
def test_capitalize_first__text__keeps_the_rest(text: str, capital: str) -> None:
    assert formatting.capitalize_first(text) == capital


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("abcd", "abcd"), ("abcde", "abc…"), ("", "")])
def test_shorten__longer_than_the_limit__ends_in_an_ellipsis(text: str, shown: str) -> None:
    assert formatting.shorten(text, 4) == shown


def test_listed__many_texts__names_three_and_counts_the_others() -> None:
    assert formatting.listed(["a"]) == "a"
    assert formatting.listed(["a", "b", "c"]) == "a; b; c"
    assert formatting.listed(["a", "b", "c", "d", "e"], separator=", ") == "a, b, c, and 2 more"


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        pytest.param((0.8999999, 0.9), ["0.8999999", "0.9"], id="as-many-digits-as-differ"),
        pytest.param((0.123456789, 0.5), ["0.123457", "0.5"], id="six-are-enough"),
        pytest.param((0.8245, 0.8244999999999999), ["0.8245", "0.8245"], id="rounding-is-no-difference"),
        pytest.param((1e9, 1e9 + 5), ["1000000000", "1000000005"], id="large"),
        pytest.param((), [], id="none"),
    ],
)
def test_apart__numbers__have_texts_that_differ_if_they_do(numbers: tuple[float, ...], texts: list[str]) -> None:
    assert formatting.apart(*numbers) == texts
