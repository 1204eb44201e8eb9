"""Projects of a ClearML server by name."""

import pytest

from clearml_ci.clearml_api import (
    project_lookup,
)
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from tests.gateways.conftest import Project


def test_existing_id__misspelt__offers_the_nearest_in_the_log_alone(clearml: ClearML, project: Project) -> None:
    assert project_lookup.existing_id(clearml, project.name) == project.id
    with pytest.raises(UsageError) as raised:
        project_lookup.existing_id(clearml, project.name + "s")
    advice = "correct the name, or create it: a project begins with its first task"
    assert str(raised.value) == f"no ClearML project '{project.name}s': {advice}"  # the nearest may be another team's
    assert raised.value.log_only == f"; did you mean '{project.name}'?"


@pytest.mark.usefixtures("project")
def test_existing_id__no_near_name__lists_the_others_in_the_log_alone(clearml: ClearML) -> None:
    with pytest.raises(UsageError) as raised:
        project_lookup.existing_id(clearml, "0" * 40)
    assert str(raised.value).startswith(f"no ClearML project '{'0' * 40}': correct the name, or")
    assert raised.value.log_only.startswith("; projects: ")
