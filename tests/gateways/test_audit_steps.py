"""The audit's steps on a ClearML server and the local GitHub: what they ask for, find, and are allowed to end."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    ownership,
    pipeline_runs,
    pipeline_templates,
    project_lookup,
    promotion_ledger,
    run_results,
    started_runs,
    task_fields,
    task_parameters,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.core.step_results import BaselinesResult, LeftoversResult, RetrainResult
from clearml_ci.decisions.promotion import Move
from clearml_ci.operations import main_branch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import run_arguments
from clearml_ci.parameters.audit import Audit, Home
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, fresh, git
from steps import audit_baselines, audit_bisect, audit_leftovers, audit_probe, audit_report, audit_retrain
from tests.clock import fast_clock
from tests.gateways import agents, services
from tests.gateways.agents import Agents
from tests.unit.drawing import MOVE

ACCURACY = Gate("accuracy", "validation", tolerance=3.0)
CODE = "https://github.com/octo-owner/digits.git"


@dataclass(frozen=True)
class World:
    """A pipeline project and one with models, both of the test's own."""

    client: Client
    clearml: ClearML
    prefix: str
    models: str
    pipelines: str
    audit: Audit

    @property
    def agent(self) -> Services:
        return services.of_agent(self.clearml)

    @property
    def models_name(self) -> str:
        return f"{self.prefix} digits"

    def task(self, *, end: str | None = "completed", accuracy: float = 0.9, commit: str = "b" * 40, **more: Any) -> str:
        script = {"repository": CODE, "version_num": commit, "diff": ""}
        given = {"name": "train", "type": "training", "project": self.models, "script": script, **more}
        created = str(self.client.call("tasks.create", **given)["id"])
        if end:
            self.client.call("tasks.started", task=created)
            point = {"type": "training_stats_scalar", "task": created, "iter": 1, "value": accuracy}
            self.client.events([{**point, "metric": "accuracy", "variant": "validation"}])
            if end != "started":
                self.client.call(f"tasks.{end}", task=created)
        return created

    def best(self, **more: Any) -> str:
        return self.task(**{"tags": [self.audit.best_tag], **more})

    def run(
        self,
        *,
        ended: bool = False,
        rerun: bool = False,
        pipeline: str = "",
        edits: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Run:
        """A controller of the audit, living or dead, the job's own or a `rerun`; `edits` are texts in its `Args`."""
        arguments = {**replace(self.audit, **changes).to_arguments(), **EXTRA, **(edits or {})}
        items = {name: {"section": "Args", "name": name, "value": value} for name, value in arguments.items()}
        project = pipeline or self.pipelines
        made = self.client.call(
            "tasks.create", name="audit", type="controller", project=project, hyperparams={"Args": items},
            script={"repository": CODE, "version_num": "f" * 40},
        )["id"]  # fmt: skip
        ownership.mark(self.clearml, made, run=made, purpose="run")
        if not rerun:
            started_runs.mark(self.clearml, made)
        self.client.call("tasks.started", task=made)
        if ended:
            self.client.call("tasks.completed", task=made)
        return pipeline_runs.read(self.clearml, made)

    def status(self, task: str) -> str:
        return str(self.client.call("tasks.get_by_id", task=task)["task"]["status"])


EXTRA = {"_steps_queue": "ci-steps"}


@pytest.fixture
def world(client: Client, prefix: str, user_environment: dict[str, str]) -> World:  # noqa: ARG001  the session reads it
    models = client.call("projects.create", name=f"{prefix} digits")["id"]
    pipelines = client.call("projects.create", name=f"{prefix} CI/{FULL_NAME}/.pipelines/audit")["id"]
    home = Home(FULL_NAME, CODE, "http://none", "main", (CODE,))
    audit = Audit(home, "", (f"{prefix} digits",), "", f"best {prefix}", (ACCURACY,), (f"{prefix} queue",))
    return World(client, clearml_session.connect(fast_clock()), prefix, models, pipelines, audit)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Hub]:  # noqa: ARG001  after its environment
    """The local GitHub, and an agent's credentials for it."""
    made = fresh(tmp_path)
    monkeypatch.setenv("GITHUB_TOKEN", made.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    monkeypatch.setenv("GITHUB_API_URL", made.server.api_url)
    yield made
    made.server.stop()


def at_home(world: World, hub: Hub) -> Home:
    return replace(world.audit.home, github_api=hub.server.api_url)


def kinds(result: BaselinesResult | LeftoversResult | RetrainResult) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["severity"]) for finding in result["findings"]]


# --- baselines ----------------------------------------------------------------------------------------------


def test_audit_baselines__two_bests_and_an_archived_one__are_found_in_a_handful_of_requests(world: World) -> None:
    world.best()
    world.best()
    gone = world.best(name="other model")
    world.client.call("tasks.archive", tasks=[gone])
    run = world.run()
    before = world.clearml.requests
    project_lookup.all_projects(world.clearml)
    for_all_projects, before = world.clearml.requests - before, world.clearml.requests
    result = audit_baselines.audit_baselines(world.agent, run)
    assert sorted(kinds(result)) == [("archived_best", "finding"), ("several_bests", "finding")]
    assert (result["projects"], result["bests"]) == (1, 3)
    assert world.clearml.requests - before - for_all_projects == 3


@pytest.mark.parametrize("lose", ["tasks.delete", "tasks.update_tags"])
@pytest.mark.parametrize("listed", [True, False], ids=["list", "no-list"])
def test_audit_baselines__promoted_best_that_was_deleted_or_untagged__is_lost(
    world: World, lose: str, listed: bool
) -> None:
    best = world.best()
    checks = world.client.call("projects.create", name=f"{world.prefix} CI/{FULL_NAME}/.pipelines/promote")["id"]
    promotion_ledger.record(world.clearml, moved(world, world.run(pipeline=checks), best))
    run = world.run() if listed else world.run(projects=())
    assert kinds(audit_baselines.audit_baselines(world.agent, run)) == []
    given = (
        {"task": best, "force": True}
        if lose == "tasks.delete"
        else {"ids": [best], "remove_tags": [world.audit.best_tag]}
    )
    world.client.call(lose, **given)
    result = audit_baselines.audit_baselines(world.agent, run)
    (found,) = (finding for finding in result["findings"] if finding["kind"] != "no_best")
    assert (found["kind"], found["severity"]) == ("lost_best", "finding")
    assert (found["where"]["name"], best in found["said"]) == (world.models_name, True)


def test_audit_baselines__promoted_task_of_a_fork__is_the_best_where_the_ledger_has_it(world: World) -> None:
    best = world.best(script={"repository": "https://github.com/fork/digits.git", "version_num": "b" * 40})
    checks = world.client.call("projects.create", name=f"{world.prefix} CI/{FULL_NAME}/.pipelines/promote")["id"]
    promotion_ledger.record(world.clearml, moved(world, world.run(pipeline=checks), best))
    result = audit_baselines.audit_baselines(world.agent, world.run(projects=()))
    assert (kinds(result), result["bests"]) == ([], 1)


def test_audit_baselines__promotions_of_other_projects_and_repositories__are_not_held_against_it(world: World) -> None:
    elsewhere = world.client.call("projects.create", name=f"{world.prefix} CI/else/where/.pipelines/promote")["id"]
    here = world.client.call("projects.create", name=f"{world.prefix} CI/{FULL_NAME}/.pipelines/promote")["id"]
    foreign = moved(world, world.run(pipeline=elsewhere), "0" * 32)
    unlisted = replace(moved(world, world.run(pipeline=here), "0" * 32), project_id="1" * 32)
    for move in (foreign, unlisted):
        promotion_ledger.record(world.clearml, move)
    assert kinds(audit_baselines.audit_baselines(world.agent, world.run())) == [("no_best", "note")]


def moved(world: World, run: Run, task: str) -> Move:
    """The entry of a promotion that gave the tag to a task."""
    tag, where = world.audit.best_tag, world.models
    return replace(MOVE, run=run.id, tag=tag, project_id=where, task_name="train", to=task, previous=())


def test_audit_baselines__main_has_drifted__is_found_by_its_newest_task(world: World, hub: Hub) -> None:
    head = hub.repository.get_branch("main").commit.sha
    world.best(commit=head, accuracy=0.9)
    world.task(commit=head, accuracy=0.7)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    (found,) = result["findings"]
    assert (found["kind"], result["notes"]) == ("drift", [])
    assert "(0.7, baseline 0.9)" in found["said"] and head[:10] in found["said"]


LEVELS = [*(0.95, 0.954, 0.948, 0.951, 0.953, 0.947, 0.952, 0.949, 0.951, 0.95), *(0.921, 0.917, 0.919)]


def main_of(world: World, hub: Hub, values: list[float]) -> list[str]:
    """The commits of main, oldest first, each with a run, and the runs started in another order; the first is best."""
    first = hub.repository.get_branch("main").commit.sha
    hub.push_on_main(commits=len(values) - 1)
    commits = [first, *git(hub.clone, "log", "--reverse", "--format=%H", f"{first}..main").split()]
    for number in sorted(range(len(values)), key=lambda number: -number):
        tags = [world.audit.best_tag] if number == 0 else []
        world.task(commit=commits[number], accuracy=values[number], tags=tags)
    return commits


def test_audit_baselines__level_of_main_fell__names_the_merge_in_the_order_of_merges(world: World, hub: Hub) -> None:
    commits = main_of(world, hub, LEVELS)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    (found,) = result["findings"]
    assert (found["kind"], found["severity"]) == ("drift", "finding")
    assert "became worse by 0.0315" in found["said"] and f") with {commits[10][:10]}, on " in found["said"]


def test_audit_baselines__history_of_main__is_drawn_on_the_run(world: World, hub: Hub) -> None:
    main_of(world, hub, LEVELS)
    run = world.run(home=at_home(world, hub))
    audit_baselines.audit_baselines(world.agent, run)
    found = world.client.call("events.get_task_plots", task=run.id)["plots"]
    figures = {plot["metric"]: json.loads(plot["plot_str"]) for plot in found}
    assert sorted(figures) == ["3 History 1 accuracy/validation of train", "4 Events of train"]
    lines = figures["3 History 1 accuracy/validation of train"]["data"]
    assert [line["name"] for line in lines] == ["default branch", "level of 10 runs", "level of 3 runs"]
    assert lines[0]["y"] == LEVELS
    assert "worse by 0.0315" in figures["4 Events of train"]["data"][0]["cells"]["values"][2][-1]


def test_audit_baselines__newest_run_within_the_noise_of_main__is_a_note(world: World, hub: Hub) -> None:
    commits = main_of(world, hub, LEVELS[:10])
    lucky = replace(ACCURACY, tolerance=0.0)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub), gates=(lucky,)))
    assert kinds(result) == []
    world.task(commit=commits[-1], accuracy=0.947)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub), gates=(lucky,)))
    assert kinds(result) == [("drift", "note")]


def test_audit_baselines__agent_without_credentials__has_the_order_of_merges_from_the_job(
    world: World, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = main_of(world, hub, LEVELS)
    monkeypatch.delenv("GITHUB_TOKEN")
    known = tuple(reversed(commits))
    home = replace(at_home(world, hub), recent=known, merges=tuple(map(Merge, known)))
    result = audit_baselines.audit_baselines(world.agent, world.run(home=home))
    (found,) = (finding for finding in result["findings"] if finding["kind"] == "drift")
    assert f") with {commits[10][:10]}, on " in found["said"]


def test_audit_baselines__hundred_commits_since_the_last_merge__its_head_is_still_looked_at(
    world: World, hub: Hub
) -> None:
    world.best(commit=hub.repository.get_branch("main").commit.sha, accuracy=0.9)
    pull = hub.pull()
    pull.merge(merge_method="squash")
    hub.push_on_main(commits=101)
    world.task(commit=pull.head.sha, accuracy=0.7)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert kinds(result) == [("drift", "finding")]


def test_audit_baselines__hundred_commits_without_a_run_since_the_baseline__is_a_finding(
    world: World, hub: Hub
) -> None:
    world.best(commit=hub.repository.get_branch("main").commit.sha, accuracy=0.9)
    head = hub.push_on_main(commits=101)
    for status in ("failed", "failed", "failed"):
        world.task(commit=head, end=status)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert kinds(result) == [("no_run", "finding"), ("failing", "finding")]


def test_audit_baselines__best_of_a_commit_that_was_never_merged__is_off_main(world: World, hub: Hub) -> None:
    world.best(commit=hub.commit("lonely"))
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert kinds(result) == [("off_main", "finding")]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_audit_baselines__best_of_a_merged_pull_request__is_on_main(world: World, hub: Hub, method: str) -> None:
    pull = hub.pull()
    world.best(commit=pull.head.sha)
    pull.merge(merge_method=method)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert result["findings"] == []


def test_audit_baselines__best_of_a_commit_that_nobody_pushed__is_off_main(world: World, hub: Hub) -> None:
    world.best(commit="b" * 40)
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert kinds(result) == [("off_main", "finding")]


def test_audit_baselines__many_older_bests__asks_github_about_the_newest_and_says_so(
    world: World, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main_branch, "MOST_LOOKED_UP", 1)
    for name in ("older", "newer"):
        world.best(name=name, commit=hub.commit(name))
    result = audit_baselines.audit_baselines(world.agent, world.run(home=at_home(world, hub)))
    assert [finding["where"]["name"] for finding in result["findings"]] == [f"{world.models_name}/newer"]
    assert result["notes"] == [
        "1 of 2 older commits of baselines were looked up on GitHub: the others may not be on the default branch"
    ]


def test_audit_baselines__no_credentials_and_no_word_of_the_job__could_not_look(world: World) -> None:
    world.best()
    result = audit_baselines.audit_baselines(world.agent, world.run())
    assert (result["findings"], result["notes"]) == ([], [])
    assert "the agent that runs the steps has no GITHUB_TOKEN" in result["unseen"][0]


@pytest.mark.parametrize("known", [True, False], ids=["the-job-read-main", "main-is-unknown"])
def test_audit_baselines__token_that_is_refused__takes_the_jobs_word_or_could_not_look(
    world: World, hub: Hub, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_expired")
    world.best()
    home = replace(at_home(world, hub), recent=("b" * 40,) if known else ())
    result = audit_baselines.audit_baselines(world.agent, world.run(home=home))
    assert (result["findings"], len(result["notes"]), len(result["unseen"])) == ([], known, not known)
    assert "401" in [*result["notes"], *result["unseen"]][0]


def test_audit_baselines__agent_that_cannot_ask__notes_bests_that_the_job_knows_nothing_of(world: World) -> None:
    world.best()
    home = replace(world.audit.home, recent=("c" * 40,))
    result = audit_baselines.audit_baselines(world.agent, world.run(home=home))
    assert (kinds(result), result["unseen"]) == ([("unknown_commit", "note")], [])


def test_audit_baselines__no_list__takes_this_repositorys_bests_and_the_projects_of_its_checks(world: World) -> None:
    world.best()
    elsewhere = world.client.call("projects.create", name=f"{world.prefix} others")["id"]
    foreign = {"repository": "https://github.com/else/where.git", "version_num": "b" * 40}
    for _ in range(2):
        world.best(project=elsewhere, script=foreign)
    empty = world.client.call("projects.create", name=f"{world.prefix} empty")
    checks = world.client.call("projects.create", name=f"{world.prefix} CI/{FULL_NAME}/.pipelines/pr_check")["id"]
    value = {"section": "Args", "name": "project", "value": f"{world.prefix} empty"}
    for arguments in ({}, {"project": value}):  # the draft of `register`, and a check that was started from it
        given = {"type": "controller", "project": checks, "hyperparams": {"Args": arguments}}
        world.client.call("tasks.create", name="pr_check", **given)
    result = audit_baselines.audit_baselines(world.agent, world.run(projects=()))
    assert (kinds(result), result["projects"], result["bests"]) == ([("no_best", "note")], 2, 1)
    assert empty["id"] in result["findings"][0]["where"]["url"]


def test_audit_baselines__edited_rerun_of_a_check__adds_no_project(world: World) -> None:
    for name in ("asked", "edited"):
        world.client.call("projects.create", name=f"{world.prefix} {name}")
    checks = world.client.call("projects.create", name=f"{world.prefix} CI/{FULL_NAME}/.pipelines/pr_check")["id"]
    started = run_arguments.with_start({"project": f"{world.prefix} asked", "_context": "{}"})
    for arguments in (started, {**started, "project": f"{world.prefix} edited"}):
        items = task_parameters.section_items("Args", arguments)
        given = {"type": "controller", "project": checks, "hyperparams": {"Args": {i["name"]: i for i in items}}}
        world.client.call("tasks.create", name="pr_check", **given)
    result = audit_baselines.audit_baselines(world.agent, world.run(projects=()))
    assert [finding["where"]["name"] for finding in result["findings"]] == [f"{world.prefix} asked"]


def test_named__unknown_project__names_the_nearest(world: World) -> None:
    every = project_lookup.all_projects(world.clearml)
    with pytest.raises(UsageError) as raised:
        project_lookup.named(every, [f"{world.prefix} digit"])
    assert raised.value.log_only == f"; did you mean '{world.prefix} digits'?"


def test_named__star__is_all_below_and_no_pipelines(world: World) -> None:
    for name in ("a", "a/b", ".pipelines/x"):
        world.client.call("projects.create", name=f"{world.prefix} digits/{name}")
    found = project_lookup.named(project_lookup.all_projects(world.clearml), [f"{world.prefix} digits/*"])
    assert sorted(project.name.removeprefix(world.models_name) for project in found) == ["/a", "/a/b"]


# --- leftovers, queues, templates ---------------------------------------------------------------------------


def test_audit_leftovers__probe_of_a_dead_run__is_ended_and_its_unmarked_clone_is_not(world: World) -> None:
    dead = world.run(ended=True)
    probe, clone = world.task(end="started", parent=dead.id), world.task(end="started", parent=dead.id)
    ownership.mark(world.clearml, probe, run=dead.id, purpose="probe")
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    found = [finding["kind"] for finding in result["findings"] if "leftover" in finding["kind"]]
    assert sorted(found) == ["leftover", "unmarked_leftover"]
    assert (world.status(probe), world.status(clone)) == ("stopped", "in_progress")
    assert "archived" in world.client.call("tasks.get_by_id", task=probe)["task"]["system_tags"]
    world.client.call("tasks.stopped", task=clone, force=True)


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted-run", "dead-run"])
def test_audit_leftovers__queued_step_of_a_run__is_taken_off_its_queue(world: World, deleted: bool) -> None:
    queue = world.client.call("queues.create", name=f"{world.prefix} steps")["id"]
    dead = world.run(ended=True)
    step, clone = (world.task(end=None, parent=dead.id, project=world.pipelines) for _ in range(2))
    ownership.mark(world.clearml, step, run=dead.id, purpose="step")
    for task in (step, clone):
        world.client.call("tasks.enqueue", task=task, queue=queue)
    if deleted:
        world.client.call("tasks.delete", task=dead.id, force=True)
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    found = [(finding["kind"], finding["said"]) for finding in result["findings"] if "leftover" in finding["kind"]]
    assert [kind for kind, _ in found] == ["leftover", "unmarked_leftover"]
    assert all(f"run {dead.id}" in text and ("was deleted" if deleted else "has ended") in text for _, text in found)
    assert (world.status(step), world.status(clone)) == ("stopped", "queued")
    entries = world.client.call("queues.get_by_id", queue=queue)["queue"]["entries"]
    assert [entry["task"] for entry in entries] == [clone]
    world.client.call("tasks.dequeue", task=clone)


def test_audit_leftovers__clean_up_is_off__only_names_them(world: World) -> None:
    dead = world.run(ended=True)
    probe = world.task(end="started", parent=dead.id)
    ownership.mark(world.clearml, probe, run=dead.id, purpose="probe")
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=(), clean_up=False))
    assert ("leftover", "finding") in kinds(result)
    assert world.status(probe) == "in_progress"
    world.client.call("tasks.stopped", task=probe, force=True)


@dataclass(frozen=True)
class Drafts:
    """What a step left that was killed before it enqueued what it launches, and what only looks like it."""

    complete: str
    archived: str
    unfinished: str
    others: tuple[str, ...]


def drafts_of(world: World, *, ended: bool) -> Drafts:
    run = world.run(ended=ended)
    step = world.task(end="completed" if ended else "started", type="data_processing", project=world.pipelines)
    ownership.mark(world.clearml, step, run=run.id, purpose="step")
    complete, archived, clone = (world.task(end=None, parent=run.id) for _ in range(3))
    for task in (complete, archived):
        ownership.mark(world.clearml, task, run=run.id, purpose="probe")
    world.client.call("tasks.archive", tasks=[archived])
    unfinished = world.task(end=None, name=f"ClearML CI draft of {step} {'0a' * 16}")
    named = world.task(end=None, name=f"ClearML CI draft of {world.task()} 0a")  # after a user's task
    word, longer = world.task(end=None, name="probe"), world.task(end=None, name=f"my ClearML CI draft of {step} 0a")
    return Drafts(complete, archived, unfinished, (clone, named, word, longer))


def present(world: World, *tasks: str) -> list[bool]:
    found = task_fields.read_existing(world.clearml, tasks, ["id"])
    return [task in found for task in tasks]


def test_audit_leftovers__drafts_of_a_killed_step__are_deleted_and_no_other_is(world: World) -> None:
    drafts = drafts_of(world, ended=True)
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    found = [finding for finding in result["findings"] if "leftover" in finding["kind"]]
    assert [(finding["severity"], finding["said"].partition(" although")[0]) for finding in found] == [
        ("finding", "a probe that was never started"),
        ("note", "a probe that was never started"),
        ("finding", "an unfinished draft that was never started"),
    ]
    assert present(world, drafts.complete, drafts.archived, drafts.unfinished) == [False, False, False]
    assert all(present(world, *drafts.others))
    again = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    assert [finding for finding in again["findings"] if "leftover" in finding["kind"]] == []


def test_audit_leftovers__drafts_without_clean_up__are_only_named(world: World) -> None:
    drafts = drafts_of(world, ended=True)
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=(), clean_up=False))
    assert [finding["kind"] for finding in result["findings"]].count("leftover") == 3
    assert all(present(world, drafts.complete, drafts.archived, drafts.unfinished))


def test_audit_leftovers__drafts_of_a_living_step__are_not_touched(world: World) -> None:
    drafts = drafts_of(world, ended=False)
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    assert [finding for finding in result["findings"] if "leftover" in finding["kind"]] == []
    assert all(present(world, drafts.complete, drafts.archived, drafts.unfinished))


def test_audit_leftovers__unfinished_draft_of_a_deleted_step__is_deleted(world: World) -> None:
    unfinished = world.task(end=None, name=f"ClearML CI draft of {'c0' * 16} {'0a' * 16}")
    audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    assert present(world, unfinished) == [False]


def test_audit_leftovers__many_drafts_of_users__cost_no_further_request(world: World) -> None:
    def requests() -> int:
        before = world.clearml.requests
        audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
        return world.clearml.requests - before

    few = requests()
    for _ in range(510):
        world.task(end=None)
    assert requests() == few


def test_audit_leftovers__living_runs_and_other_repositories__are_not_touched(world: World) -> None:
    others = world.client.call("projects.create", name=f"{world.prefix} CI/else/where/.pipelines/pr_check")["id"]
    dead_elsewhere, alive = world.run(ended=True, pipeline=others), world.run()
    tasks = [world.task(end="started", parent=run.id) for run in (dead_elsewhere, alive)]
    for task, run in zip(tasks, (dead_elsewhere, alive), strict=True):
        ownership.mark(world.clearml, task, run=run.id, purpose="probe")
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    assert [finding for finding in result["findings"] if "leftover" in finding["kind"]] == []
    assert [world.status(task) for task in tasks] == ["in_progress", "in_progress"]
    for task in tasks:
        world.client.call("tasks.stopped", task=task, force=True)


def test_audit_leftovers__superseded_controller_that_lives_on__is_ended_with_its_steps(world: World) -> None:
    stale, newer = world.run(), world.run()
    step = world.task(end="started", parent=stale.id, project=world.pipelines)
    ownership.mark(world.clearml, step, run=stale.id, purpose="step")
    superseded(world, stale.id, f"{newer.id} instead of {stale.id}")
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    (found,) = (finding for finding in result["findings"] if stale.id in finding["where"]["url"])
    assert found["kind"] == "leftover" and f"the newer run {newer.id} superseded it;" in found["said"]
    assert [world.status(task) for task in (stale.id, step, newer.id)] == ["stopped", "stopped", "in_progress"]


@pytest.mark.parametrize("clean_up", [True, False])
def test_audit_leftovers__controller_that_died__is_ended_with_its_steps(world: World, clean_up: bool) -> None:
    dead = world.run()
    step = world.task(end="started", parent=dead.id, project=world.pipelines)
    ownership.mark(world.clearml, step, run=dead.id, purpose="step")
    hour_later = replace(fast_clock(), now=lambda: time.time() + 3600)
    agent = services.of_agent(world.clearml, clock=hour_later)
    result = audit_leftovers.audit_leftovers(agent, world.run(queues=(), clean_up=clean_up))
    (found,) = (finding for finding in result["findings"] if "leftover" in finding["kind"])
    assert dead.id in found["where"]["url"]
    assert "a controller that is still in progress although it has been silent for 60 min;" in found["said"]
    assert {world.status(dead.id), world.status(step)} == {"stopped" if clean_up else "in_progress"}


def superseded(world: World, run: str, by: str) -> None:
    task_parameters.set_properties(world.clearml, run, {pipeline_runs.SUPERSEDED: by})


def test_audit_leftovers__rerun_of_a_superseded_controller__is_not_superseded_itself(world: World) -> None:
    stale, rerun = world.run(ended=True), world.run()
    superseded(world, rerun.id, f"{world.run(ended=True).id} instead of {stale.id}")  # what its clone copied
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    assert [finding for finding in result["findings"] if "leftover" in finding["kind"]] == []
    assert world.status(rerun.id) == "in_progress"


def test_audit_leftovers__queue__is_found_without_workers_and_with_a_long_wait(world: World) -> None:
    queue = world.client.call("queues.create", name=f"{world.prefix} queue")["id"]
    waiting = world.task(end=None)
    world.client.call("tasks.enqueue", task=waiting, queue=queue)
    assert ("no_workers", "finding") in kinds(audit_leftovers.audit_leftovers(world.agent, world.run()))
    world.client.call("workers.register", worker=f"{world.prefix}-worker", queues=[queue])
    assert kinds(audit_leftovers.audit_leftovers(world.agent, world.run(longest_wait=0.001))) == [
        ("long_wait", "finding")
    ]
    assert kinds(audit_leftovers.audit_leftovers(world.agent, world.run())) == []
    world.client.call("tasks.dequeue", task=waiting)


def test_audit_leftovers__drafts_of_older_versions__are_a_note_and_newer_ones_are_not(world: World) -> None:
    for commit, mark in (("e" * 40, True), ("f" * 40, True), ("d" * 40, False), ("c" * 40, True)):
        script = {"repository": CODE, "version_num": commit}
        draft = world.task(end=None, type="controller", project=world.pipelines, script=script)
        if mark:
            world.client.call("tasks.edit", task=draft, runtime={pipeline_templates.TEMPLATE_MARK: draft})
    result = audit_leftovers.audit_leftovers(world.agent, world.run(queues=()))
    (found,) = (finding for finding in result["findings"] if finding["kind"] == "old_templates")
    assert (found["severity"], found["said"][:26]) == ("note", "1 draft of old versions of")


# --- probe and report ---------------------------------------------------------------------------------------


def test_audit_probe__queue_without_workers__is_a_finding_and_launches_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.client.call("queues.create", name=f"{world.prefix} code")
    monkeypatch.setitem(EXTRA, "run_until", "first-iteration")
    monkeypatch.setitem(EXTRA, "run_queue", f"{world.prefix} code")
    result = audit_probe.audit_probe(world.agent, world.run(commit="a" * 40))
    assert (result["outcome"], result["phase"], kinds(result)) == ("error", "queue", [("does_not_run", "finding")])


TRAIN = {"run_script": "train.py", "retrain": "2"}


def test_audit_retrain__queue_without_workers__is_a_finding_and_trains_nothing(world: World) -> None:
    world.client.call("queues.create", name=f"{world.prefix} code")
    run = world.run(commit="a" * 40, edits={**TRAIN, "run_queue": f"{world.prefix} code"})
    result = audit_retrain.audit_retrain(world.agent, run)
    assert (result["tasks"], kinds(result), result["unseen"]) == ([], [("does_not_run", "finding")], [])


@pytest.fixture
def code(world: World) -> Iterator[str]:
    """The id of the queue of pull-request code."""
    queue = world.client.call("queues.create", name=f"{world.prefix} code")["id"]
    yield queue
    world.client.call("queues.delete", queue=queue, force=True)


def retrained(world: World, team: Agents, **edits: str) -> RetrainResult:
    """The result of the step, with trainings on the queue of these agents."""
    places = {"run_project": world.models_name, "run_name": "train", "run_queue": f"{world.prefix} code"}
    run = world.run(commit="a" * 40, edits={**TRAIN, **places, **edits})
    step = world.task(end=None, name="audit_retrain", parent=run.id, project=world.pipelines)
    own = replace(services.of_agent(world.clearml, clock=fast_clock(on_sleep=team.look)), own_task=step)
    return audit_retrain.audit_retrain(own, run)


def seeds_of(world: World, result: RetrainResult) -> list[str]:
    tasks = [world.client.call("tasks.get_by_id", task=task["id"])["task"] for task in result["tasks"]]
    return sorted(map(agents.seed_of, tasks))


def test_audit_retrain__several_trainings__have_seeds_of_their_own_and_run_side_by_side(
    world: World, code: str
) -> None:
    team = agents.of_queue(world.client, code, 2, values=dict.fromkeys(("1", "2", "3", agents.DEFAULT_SEED), 0.9))
    result = retrained(world, team, retrain="4")
    assert (seeds_of(world, result), team.together) == (["1", "1337", "2", "3"], 2)
    assert (kinds(result), result["notes"]) == ([("retrained", "note")], [])


def test_audit_retrain__training_with_another_seed_fails__is_a_finding(world: World, code: str) -> None:
    team = agents.of_queue(world.client, code, values=dict.fromkeys(("1", agents.DEFAULT_SEED), 0.9), fail={"1"})
    result = retrained(world, team)
    assert (seeds_of(world, result), kinds(result)) == (["1337"], [("does_not_run", "finding")])


def test_audit_retrain__script_that_can_be_given_no_seed__is_trained_as_it_is_with_a_note(
    world: World, code: str
) -> None:
    team = agents.of_queue(world.client, code, values={agents.DEFAULT_SEED: 0.9}, records=False)
    result = retrained(world, team)
    assert (len(result["tasks"]), kinds(result)) == (2, [("retrained", "note")])
    assert result["notes"][0].startswith("the trainings have the same seed: the task ")


def test_audit_retrain__without_a_gate__says_what_is_missing(world: World) -> None:
    with pytest.raises(UsageError, match="gates is empty: name the metrics"):
        audit_retrain.audit_retrain(world.agent, world.run(gates=(), edits=TRAIN))


SEED = {"Args": {"seed": {"section": "Args", "name": "seed", "value": "100"}}}


def drifted(world: World, hub: Hub) -> list[str]:
    """The commits of main, of which the eleventh was not trained, and the runs are worse since."""
    first = hub.repository.get_branch("main").commit.sha
    hub.push_on_main(commits=len(LEVELS))
    commits = [first, *git(hub.clone, "log", "--reverse", "--format=%H", f"{first}..main").split()]
    for commit, value in zip([*commits[:10], *commits[11:]], LEVELS, strict=True):
        world.task(commit=commit, accuracy=value, hyperparams=SEED)
    return commits


def bisected(
    world: World, hub: Hub, values: list[float], *, times: int = 1, name: str = "train", **more: Any
) -> tuple[RetrainResult, Agents]:
    """The result of the step, and the agents that trained with these values of the new seeds, from 1 on.

    It is executed so many `times`.
    """
    queue = world.client.call("queues.get_all", name=f"^{world.prefix} code$")["queues"][0]["id"]
    by_seed = {str(number): value for number, value in enumerate(values, start=1)}
    team = agents.of_queue(world.client, queue, 3, values=by_seed, **more)
    places = {"run_project": world.models_name, "run_name": name, "run_queue": f"{world.prefix} code"}
    edits = {"run_script": "train.py", "bisect": "2", **places}
    run = world.run(edits=edits, home=at_home(world, hub))
    step = world.task(end=None, name="audit_bisect", parent=run.id, project=world.pipelines)
    own = replace(services.of_agent(world.clearml, clock=fast_clock(on_sleep=team.look)), own_task=step)
    for _ in range(times):
        result = audit_bisect.audit_bisect(own, run)
    return result, team


@pytest.mark.parametrize(("values", "guilty"), [((0.951, 0.949, 0.92, 0.921), 10), ((0.951, 0.949, 0.952, 0.95), 11)])
def test_audit_bisect__merges_of_the_drift__are_trained_side_by_side_and_one_is_named(
    world: World, hub: Hub, code: str, values: tuple[float, ...], guilty: int
) -> None:
    assert code
    commits = drifted(world, hub)
    result, team = bisected(world, hub, [*values, 0.919, 0.918])
    (found,) = result["findings"]
    assert (found["kind"], found["severity"]) == ("drift_merge", "finding")
    assert found["said"].startswith(f"{commits[guilty][:10]} made accuracy/validation worse by 0.03")
    assert (len(result["tasks"]), team.together, result["notes"]) == (6, 3, [])
    trained = [world.client.call("tasks.get_by_id", task=task["id"])["task"] for task in result["tasks"]]
    assert {task["script"]["version_num"] for task in trained} == {*commits[9:12]}
    assert sorted(map(agents.seed_of, trained)) == ["1", "2", "3", "4", "5", "6"]


def test_audit_bisect__step_that_is_executed_again__trains_nothing_twice(world: World, hub: Hub, code: str) -> None:
    assert code
    commits = drifted(world, hub)
    result, _ = bisected(world, hub, [0.951, 0.949, 0.92, 0.921, 0.919, 0.918], times=2)
    assert result["findings"][0]["said"].startswith(commits[10][:10])
    found = world.client.call("tasks.get_all", project=[world.models], only_fields=["id"])["tasks"]
    assert (len(result["tasks"]), len(found)) == (6, len(LEVELS) + 6)


def test_audit_bisect__merge_before_is_as_low_today__is_no_merge(world: World, hub: Hub, code: str) -> None:
    assert code
    drifted(world, hub)
    result, _ = bisected(world, hub, [0.921, 0.919, 0.92, 0.921, 0.919, 0.918])
    (found,) = result["findings"]
    assert (found["kind"], found["severity"]) == ("drift_merge", "note")
    assert "what is not pinned" in found["do"]


def test_audit_bisect__training_that_fails__is_a_note_and_the_others_decide(world: World, hub: Hub, code: str) -> None:
    assert code
    commits = drifted(world, hub)
    result, _ = bisected(world, hub, [0.951, 0.949, 0.92, 0.921, 0.919, 0.918], fail={"4"})
    (found,) = result["findings"]
    assert found["said"].startswith(f"{commits[10][:10]} made accuracy/validation worse")
    assert result["notes"][0].startswith(f"{commits[10][:10]} could not be trained with the seed 4: ")


def test_audit_bisect__name_that_no_run_of_main_has__trains_nothing_and_says_so(
    world: World, hub: Hub, code: str
) -> None:
    assert code
    drifted(world, hub)
    result, _ = bisected(world, hub, [], name="training")
    assert (result["tasks"], result["findings"]) == ([], [])
    (note,) = result["notes"]
    assert note.endswith(f"main has no clean run named 'training' in '{world.models_name}'")


def test_audit_bisect__no_drift__trains_nothing(world: World, hub: Hub, code: str) -> None:
    assert code
    main_of(world, hub, LEVELS[:10])
    result, _ = bisected(world, hub, [])
    assert (result["tasks"], result["findings"], result["notes"]) == ([], [], [])


def test_audit_bisect__queue_without_workers__is_a_note(world: World, hub: Hub, code: str) -> None:
    assert code
    drifted(world, hub)
    edits = {"run_script": "train.py", "bisect": "1", "run_project": world.models_name, "run_name": "train"}
    run = world.run(edits={**edits, "run_queue": f"{world.prefix} code"}, home=at_home(world, hub))
    result = audit_bisect.audit_bisect(world.agent, run)
    assert (result["tasks"], result["findings"]) == ([], [])
    assert result["notes"][0].startswith("the merge that brought drift was not looked for: ")


def test_audit_bisect__without_a_gate__states_what_is_missing(world: World) -> None:
    with pytest.raises(UsageError, match="gates is empty: name the metrics"):
        audit_bisect.audit_bisect(world.agent, world.run(gates=(), edits={"run_script": "train.py", "bisect": "2"}))


def reported(world: World, run: Run, *findings: dict[str, Any]) -> Any:
    """The report of a run of which two steps found the same, and the third one nothing."""
    for name in audit_parameters.ALWAYS:
        step = world.task(end="completed", name=name, parent=run.id, project=world.pipelines)
        ownership.mark(world.clearml, step, run=run.id, purpose="step")
        found = () if name == "audit_stale_checks" else findings
        run_results.store(world.clearml, step, {"findings": found, "notes": []})
    return audit_report.audit_report(world.agent, run)


def issues(hub: Hub) -> list[tuple[str, str]]:
    return [(issue.state, issue.title) for issue in hub.repository.get_issues(state="all")]


def test_audit_report__findings_then_none__opens_the_issue_and_closes_it(world: World, hub: Hub) -> None:
    found = []
    for findings in ([FOUND], []):
        run = world.run(home=at_home(world, hub))
        result = reported(world, run, *findings)
        (issue,) = hub.repository.get_issues(state="all")
        found.append((result["verdict"]["outcome"], issue.state, issue.title, result["comment_url"] == issue.html_url))
    assert found == [
        ("regressed", "open", "ClearML CI audit: 2 findings", True),
        ("passed", "closed", "ClearML CI audit: no findings", True),
    ]
    artifact = pipeline_runs.read(world.clearml, run.id)
    assert json.loads(json.dumps(result["verdict"]))["pipeline"]["id"] == artifact.id


@pytest.mark.parametrize(
    ("waited_for", "rerun", "warned"),
    [
        pytest.param(True, False, False, id="a job waits and posts"),
        pytest.param(False, False, True, id="no job waits"),
        pytest.param(True, True, True, id="rerun of one that was waited for"),
    ],
)
def test_audit_report__agent_without_credentials__warns_where_nobody_else_speaks(
    world: World, waited_for: bool, rerun: bool, warned: bool
) -> None:
    run = world.run(waited_for=waited_for, edits=ORIGIN)
    result = reported(world, world.run(waited_for=waited_for, edits=ORIGIN, rerun=True) if rerun else run, FOUND)
    text = "Nothing was posted on GitHub: the agent that runs the steps has no"
    warnings = [warning for warning in result["verdict"]["warnings"] if text in warning]
    assert (len(warnings), len(result["warnings"]), result["posted"]) == (warned, warned, False)
    assert ("Nothing was posted" in result["markdown"]) or not warned


def test_audit_report__edited_rerun__may_open_and_update_the_issue_but_never_closes_it(world: World, hub: Hub) -> None:
    home = at_home(world, hub)
    reported(world, world.run(home=home, edits=ORIGIN))
    edited = {**ORIGIN, "longest_wait": "60"}
    reported(world, world.run(home=home, edits=edited, rerun=True), FOUND)
    assert issues(hub) == [("open", "ClearML CI audit: 2 findings")]
    well = reported(world, world.run(home=home, edits=edited, rerun=True))
    assert issues(hub) == [("open", "ClearML CI audit: 2 findings")]
    assert (well["verdict"]["outcome"], well["posted"]) == ("passed", False)
    assert "longest_wait 3600 → 60" in well["verdict"]["rerun"]["said"]
    assert "the issue is left as it is" in well["verdict"]["warnings"][0]
    reported(world, world.run(home=home, edits=ORIGIN, rerun=True))
    assert issues(hub) == [("closed", "ClearML CI audit: no findings")]


def test_audit_report__rerun_whose_parameters_cannot_be_read__leaves_an_error_and_the_issue_alone(
    world: World, hub: Hub
) -> None:
    home = at_home(world, hub)
    reported(world, world.run(home=home, edits=ORIGIN), FOUND)
    rerun = world.run(home=home, edits={**ORIGIN, "retrain": "ten"}, rerun=True)
    result: Any = audit_report.audit_report(world.agent, rerun)
    verdict = result["verdict"]
    assert (verdict["outcome"], verdict["exit_code"]) == ("error", 4)
    assert "the parameters of this rerun cannot be read: retrain is 'ten'" in verdict["exit_reason"]
    assert (verdict["rerun"]["changes"], "fault" in result) == (["retrain 0 → ten"], False)
    assert issues(hub) == [("open", "ClearML CI audit: 2 findings")]
    artifacts = world.client.call("tasks.get_by_id", task=rerun.id)["task"]["execution"]["artifacts"]
    assert [artifact["key"] for artifact in artifacts] == ["verdict", "report"]


def test_audit_report__first_run_whose_parameters_cannot_be_read__is_a_fault(world: World) -> None:
    with pytest.raises(UsageError, match="retrain is 'ten'"):
        audit_report.audit_report(world.agent, world.run(edits={**ORIGIN, "retrain": "ten"}))


def test_audit_report__nobody_could_look__leaves_the_issue_open(world: World, hub: Hub) -> None:
    home = at_home(world, hub)
    reported(world, world.run(home=home), FOUND)
    run = world.run(home=home)
    step = world.task(end="completed", name="audit_probe", parent=run.id, project=world.pipelines)
    ownership.mark(world.clearml, step, run=run.id, purpose="step")
    run_results.store(world.clearml, step, {"findings": [], "notes": [], "unseen": ["it is dark"]})
    assert reported(world, run)["verdict"]["outcome"] == "inconclusive"
    assert issues(hub) == [("open", "ClearML CI audit: incomplete")]


ORIGIN = {"_origin": "0123456789abcdef" * 2}
WHERE = {"kind": "queue", "name": "ci-code", "url": "https://clearml/queues"}
FOUND = {"kind": "no_workers", "severity": "finding", "where": WHERE, "said": "s", "do": "d"}


def test_audit_report__run_of_another_repositorys_project__is_refused(world: World) -> None:
    run = world.run(home=replace(world.audit.home, repository="else/where"))
    with pytest.raises(UsageError, match="must not report to the repository 'else/where'"):
        audit_report.audit_report(world.agent, run)
