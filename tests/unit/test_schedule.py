import pytest

from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.core.schedule import Schedule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("daily 22:30", Schedule(22, 30)),
        ("  Daily   0:05 ", Schedule(0, 5)),
        ("weekly mon 06:00", Schedule(6, 0, "monday")),
        ("weekly Thursday 6:00", Schedule(6, 0, "thursday")),
    ],
)
def test_parse__schedule__is_read_and_written_back(text: str, expected: Schedule) -> None:
    assert schedule.parse(text) == expected
    assert schedule.parse(expected.text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "the schedule '' is none", id="empty"),
        pytest.param("daily", "is none", id="no time"),
        pytest.param("22:30", "is none", id="no word"),
        pytest.param("daily 24:00", "is none", id="no hour"),
        pytest.param("daily 22:60", "is none", id="no minute"),
        pytest.param("daily mon 06:00", "is none", id="daily on a day"),
        pytest.param("weekly 06:00", "is none", id="weekly without a day"),
        pytest.param("30 22 * * *", "is none", id="cron"),
        pytest.param("weekly mo 06:00", "day is 'mo'", id="two letters"),
        pytest.param("weekly mondey 06:00", "did you mean 'monday'?", id="typo"),
    ],
)
def test_parse__no_schedule__says_what_is_expected(text: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        schedule.parse(text)
    assert says in str(raised.value)
    assert "'daily 22:30' or 'weekly mon 06:00', in UTC" in str(raised.value)
