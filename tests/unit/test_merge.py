import pytest

from clearml_ci.core import merge
from clearml_ci.core.merge import Merge

COMMIT, HEAD = "c" * 40, "e" * 40


@pytest.mark.parametrize(
    ("made", "name"),
    [(Merge(COMMIT), "cccccccccc"), (Merge(COMMIT, HEAD, 12), "#12 (cccccccccc)")],
    ids=["push", "pull request"],
)
def test_read__what_write_made__is_the_same(made: Merge, name: str) -> None:
    assert merge.read(merge.write(made)) == made
    assert str(made) == name
    assert made.commits == ((COMMIT, HEAD) if made.head else (COMMIT,))


@pytest.mark.parametrize("text", ["", "a b", "a b c d"])
def test_read__other_text__is_none(text: str) -> None:
    assert merge.read(text) is None
