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
    ("text", "message"),
    [
        pytest.param("", "the schedule is ''", id="empty"),
        pytest.param("daily", "the schedule is 'daily'", id="no time"),
        pytest.param("22:30", "the schedule is '22:30'", id="no frequency"),
        pytest.param("daily 24:00", "the schedule is 'daily 24:00'", id="no hour"),
        pytest.param("daily 22:60", "the schedule is 'daily 22:60'", id="no minute"),
        pytest.param("daily mon 06:00", "the schedule is 'daily mon 06:00'", id="daily on a day"),
        pytest.param("weekly 06:00", "the schedule is 'weekly 06:00'", id="weekly without a day"),
        pytest.param("30 22 * * *", "the schedule is '30 22 * * *'", id="cron"),
        pytest.param("weekly mo 06:00", "day is 'mo'", id="two letters"),
        pytest.param("weekly mondey 06:00", "did you mean 'monday'?", id="typo"),
    ],
)
def test_parse__no_schedule__names_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        schedule.parse(text)
    assert message in str(raised.value)
    assert "'daily 22:30' or 'weekly mon 06:00', in UTC" in str(raised.value)
