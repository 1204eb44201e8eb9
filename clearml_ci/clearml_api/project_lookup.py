"""Find ClearML projects by name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import configuration, paging
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError, nearest

PIPELINES = "/.pipelines/"  # below a project: its pipelines, one project each


@dataclass(frozen=True)
class Project:
    """A ClearML project and its page."""

    id: str
    name: str
    url: str


def root_of(project: str) -> str:
    """The project below which this one, of a pipeline, lies."""
    return project.split(PIPELINES)[0]


def id_of(clearml: ClearML, name: str) -> str | None:
    """The id of the project of exactly this name, hidden ones included; None if there is none."""
    found = paging.records(clearml, "projects", name=f"^{re.escape(name)}$", only_fields=["id", "name"])
    return next((project["id"] for project in found if project["name"] == name), None)


def existing_id(clearml: ClearML, name: str) -> str:
    """The id of the project of exactly this name. Raises UsageError; the log names the nearest, or lists them."""
    found = id_of(clearml, name)
    if found is None:
        shown = paging.records(clearml, "projects", only_fields=["id", "name"], search_hidden=False)
        raise _unknown(name, [project["name"] for project in shown])
    return found


def all_projects(clearml: ClearML) -> list[Project]:
    """All projects of the workspace, hidden ones included."""
    host = configuration.web_host()
    found = paging.records(clearml, "projects", only_fields=["id", "name"])
    return [Project(project["id"], project["name"], f"{host}/projects/{project['id']}") for project in found]


def named(projects: Sequence[Project], names: Iterable[str]) -> list[Project]:
    """The projects with these names; `name/*` means all below `name`. Raises UsageError if a name has no match."""
    shown = [project for project in projects if ".pipelines" not in project.name]
    found: dict[str, Project] = {}
    for name in names:
        matching = [project for project in shown if _matches(project.name, name)]
        if not matching:
            raise _unknown(name, [project.name for project in shown])
        found |= {project.id: project for project in matching}
    return list(found.values())


def _matches(project: str, name: str) -> bool:
    return project.startswith(name.removesuffix("*")) if name.endswith("/*") else project == name


def _unknown(name: str, known: Iterable[str]) -> UsageError:
    advice = "correct the name, or create it: a project begins with its first task"
    return UsageError(f"no ClearML project '{name}': {advice}", log_only=nearest(name, known, what="projects"))
