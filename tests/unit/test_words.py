"""The rules of plain words: the tool that counts forbidden ones, and the product and its documents held to them."""

from collections import Counter

import pytest

from tools import words

# How many are left in each folder. It only falls: lower a number with the change that removes the words.
ALLOWED = {
    "clearml_ci/core": 4,  # `said`, a key of the verdict document, which stays as it is
}


def test_words__forbidden__are_as_many_as_allowed_in_each_folder() -> None:
    found = [place for place in words.find([]) if place.rule != words.WHERE and not place.folder.startswith("tests")]
    counted = Counter(place.folder for place in found)
    lines = "\n".join(
        f"{place.path}:{place.line}: {place.rule}: {place.text}"
        for place in found
        if counted[place.folder] != ALLOWED.get(place.folder)
    )
    assert counted == ALLOWED, f"forbidden words by folder, and those of the folders that have more or less:\n{lines}"


def rules_broken(name: str, text: str) -> Counter[str]:
    return Counter(place.rule for place in words.places(name, text))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('"""Nobody ran it."""\n', "unnamed actor"),
        ("x = 1  # the job speaks for it\n", "tell, say, speak"),
        ('message = f"two runs {x} at once"\n', "at once"),
        ('message = "the policy overrules it"\n', "overrule"),
        ('"""Wait in vain."""\n', "riddle"),
        ("for one in runs:\n    pass\n", "vague name"),
        ("def told(): ...\n", "vague name"),
        ("def check(wanted): ...\n", "vague name"),
        ('"""What a step leaves."""\n', "question"),
        ('def carried():\n    """It is carried?"""\n', "question"),
        ('def check():\n    """Raises UsageError."""\n', "error first"),
        ('"""Skip it where there is none."""\n', "where"),
    ],
)
def test_words__of_python_that_breaks_a_rule__are_counted_once(text: str, rule: str) -> None:
    assert rules_broken("module.py", text) == {rule: 1}


@pytest.mark.parametrize(
    "text",
    [
        'place = finding["where"]\n',
        'login = "stranger"\n',
        'message = f"{told.value} of {said}"\n',
        '"""Have the agent wait."""\n',
        '"""Return the words of a sentence."""\n',
        "done = once(1)\n",
    ],
    ids=["key", "value", "code in a text", "imperative", "words", "use of a name"],
)
def test_words__of_python_in_order__are_not_counted(text: str) -> None:
    assert not rules_broken("module.py", text)


def test_words__of_markdown__are_counted_outside_of_code_spans() -> None:
    assert rules_broken("README.md", "It says so: `the job says so`.\nNothing here.\n") == {"tell, say, speak": 1}
