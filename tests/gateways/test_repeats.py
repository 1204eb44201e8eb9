"""Repeats on a ClearML server: a suspicious training is trained again with other seeds. The test acts as the agents."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    launch_draft,
    pipeline_runs,
    run_cancellation,
    seeded_draft,
    task_fields,
    task_records,
)
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.seeded_draft import Seeding
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate
from clearml_ci.decisions.samples import Run
from clearml_ci.operations import seeded_trainings
from clearml_ci.parameters import remote_run as launch_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import Hub, git
from steps import compare
from tests.clock import fast_clock
from tests.gateways import agents, services
from tests.gateways.agents import Agents, seed_of
from tests.gateways.conftest import COMMIT, Project
from tests.gateways.job_session import signed_in

GATE = Gate("accuracy", "validation", tolerance=0.5)
URL = "https://github.com/o/n.git"
PULL = PullRequest(
    "o/n", 7, (URL,), "http://none", base="main", default_branch="main", head_repository="o/n", head_url=URL
)
CHECK = Check(COMMIT, PULL, "", "train", (GATE,), "Best", candidate="train", until="completion", baseline_main=False)
SPREAD = (0.94, 0.96, 0.95, 0.945, 0.955, 0.94, 0.96, 0.95, 0.945, 0.955)
SUSPICIOUS = 0.938  # of one run, beside such a reference


def args(**values: str) -> dict[str, Any]:
    return {"Args": {name: {"section": "Args", "name": name, "value": value} for name, value in values.items()}}


@dataclass
class World:
    """A project with a reference, the first training of a commit, and agents that train it again."""

    clearml: ClearML
    client: Client
    project: Project
    queue: str
    name: str
    run: str = ""
    step: str = ""

    def trained(self, accuracy: float, *, seed: str, commit: str = COMMIT, **more: Any) -> str:
        task = self.project.task(commit=commit, hyperparams=args(seed=seed, lr="1"), **more)
        self.project.report(task, accuracy)
        return task

    def begin(self, accuracy: float = SUSPICIOUS, *, hyperparams: dict[str, Any] | None = None, **changes: Any) -> str:
        """A reference, a first training, and the run whose step judges it; the training."""
        for number, value in enumerate(SPREAD):
            tags = ["Best: reference", *(["Best"] if not number else [])]
            self.trained(value, seed=str(number), commit=f"{number:040x}", tags=tags)
        first = self.project.task(hyperparams=hyperparams or args(seed="1337", lr="1"))
        self.project.report(first, accuracy)
        check = replace(CHECK, project=self.project.name, **{"repeats": 4, **changes})
        given = {"run_script": "train.py", "run_queue": self.name, "run_project": self.project.name}
        limits = {"run_name": "train", "run_queue_limit": "600"}
        self.run = self.project.run(**check.to_arguments(), **given, **limits)
        document = {"id": first, "name": "train", "project": self.project.name, "project_id": self.project.id}
        document |= {"commit": COMMIT, "status": "completed", "url": ""}
        trained = self.project.step(self.run, "remote_run")
        services.leave_result(self.clearml, trained, {"outcome": "passed", "task": document, "candidate": document})
        self.step = self.project.step(self.run, "compare")
        return first

    def agents(self, number: int = 1, **more: Any) -> Agents:
        return agents.of_queue(self.client, self.queue, number, **more)

    def compared(self, team: Agents) -> Any:
        return self.compared_while(team.look)

    def compared_while(self, on_sleep: Callable[[], object]) -> Any:
        found = replace(services.of_agent(self.clearml, clock=fast_clock(on_sleep=on_sleep)), own_task=self.step)
        return compare.compare(found, pipeline_runs.read(self.clearml, self.run))

    def repeats(self) -> list[dict[str, Any]]:
        """The tasks that the step made, in the order of their creation."""
        found = self.client.call(
            "tasks.get_all", project=[self.project.id], parent=self.run, order_by=["created"], search_hidden=True
        )["tasks"]
        whole = [self.client.call("tasks.get_by_id", task=task["id"])["task"] for task in found]
        return [task for task in whole if "clearml_ci_seed" in (task.get("runtime") or {})]


@pytest.fixture
def world(clearml: ClearML, client: Client, project: Project, prefix: str) -> Iterator[World]:
    queue = client.call("queues.create", name=f"{prefix}-code")["id"]
    yield World(clearml, client, project, queue, f"{prefix}-code")
    client.call("queues.delete", queue=queue, force=True)


def test_compare__real_loss__is_repeated_until_it_is_credible_and_names_each_run(world: World) -> None:
    first = world.begin()
    result = world.compared(world.agents(values={"1": 0.91, "2": 0.912, "3": 0.909, "4": 0.911}))
    assert result["outcome"] == "regressed"
    made = world.repeats()
    assert [seed_of(task) for task in made] == [str(seed) for seed in range(1, len(made) + 1)]
    assert len(made) < 4  # clear before
    assert {(run["task"]["id"], run["seed"], run["repeat"]) for run in result["runs"]} == {
        (first, "1337", False),
        *((task["id"], seed_of(task), True) for task in made),
    }
    assert {run["values"]["accuracy/validation"] for run in result["runs"]} >= {SUSPICIOUS, 0.91}
    assert result["gates"][0]["noise"]["runs"] == 1 + len(made)


def test_compare__lucky_seeds__pass_after_a_repeat(world: World) -> None:
    world.begin()
    result = world.compared(world.agents(values=dict.fromkeys("1234", 0.957)))
    assert (result["outcome"], len(world.repeats())) == ("passed", 1)


@pytest.mark.parametrize(
    ("accuracy", "changes"),
    [(0.95, {}), (SUSPICIOUS, {"repeats": 0}), (0.8, {}), (SUSPICIOUS, {"rule": "best-ever"})],
    ids=["fine", "not-allowed", "hopeless", "best-ever"],
)
def test_compare__nothing_to_learn__repeats_nothing(world: World, accuracy: float, changes: dict[str, Any]) -> None:
    world.begin(accuracy, **changes)
    world.compared(world.agents(values={}))
    assert world.repeats() == []


def test_compare__repeat__differs_from_the_first_run_by_its_seed_alone(world: World) -> None:
    first = world.begin()
    world.compared(world.agents(values={"1": 0.957}))
    (repeat,) = world.repeats()
    assert repeat["script"]["version_num"] == COMMIT
    assert {name: item["value"] for name, item in repeat["hyperparams"]["Args"].items()} == {"seed": "1", "lr": "1"}
    assert repeat["hyperparams"]["properties"]["seed"]["value"] == "1"
    marks = {"clearml_ci_run": world.run, "clearml_ci_purpose": "training", "clearml_ci_step": world.step}
    assert repeat["runtime"].items() >= marks.items()
    assert repeat["id"] != first


def test_compare__seed_that_the_policy_names__is_the_one_that_changes(world: World) -> None:
    world.begin(hyperparams=args(my_seed="7", seed="9"), seed="Args/my_seed")
    world.compared(world.agents(values={"9": 0.957}))
    (repeat,) = world.repeats()
    given = {name: item["value"] for name, item in repeat["hyperparams"]["Args"].items()}
    assert given == {"my_seed": "1", "seed": "9"}


def test_compare__evidence_of_an_earlier_commit__repeats_that_commit(world: World) -> None:
    world.begin(commit="d" * 40)
    result = world.compared(world.agents(values={"1": 0.957}))
    (repeat,) = world.repeats()
    assert (repeat["script"]["version_num"], result["gates"][0]["noise"]["runs"]) == (COMMIT, 2)


@pytest.mark.parametrize(("workers", "together"), [(1, 1), (3, 2)])
def test_compare__two_repeats_at_once__run_side_by_side_on_free_workers_alone(
    world: World, workers: int, together: int
) -> None:
    world.begin()
    team = world.agents(workers, values={"1": 0.9432, "2": 0.9432, "3": 0.9432, "4": 0.9432})
    world.compared(team)
    assert (len(world.repeats()), team.together) == (4, together)


def test_compare__clear_before_the_other_has_ended__stops_and_archives_it(world: World) -> None:
    world.begin()
    team = world.agents(2, values={"1": 0.9432, "2": 0.9432, "3": 0.96}, hold={"4"})
    result = world.compared(team)
    assert result["outcome"] == "passed"
    other = world.repeats()[-1]
    assert (seed_of(other), other["status"], "archived" in other["system_tags"]) == ("4", "stopped", True)


def test_compare__repeat_that_fails__is_named_and_the_check_stays_inconclusive(world: World) -> None:
    world.begin()
    result = world.compared(world.agents(values={"1": 0.9}, fail={"1"}))
    assert result["outcome"] == "inconclusive"
    assert any("The training with seed 1 failed: its script failed" in warning for warning in result["warnings"])
    failed = result["runs"][-1]
    assert (failed["seed"], failed["repeat"], failed["values"], failed["reason"][:17]) == (
        "1",
        True,
        {},
        "its script failed",
    )


def test_compare__no_seed_can_be_put_in__judges_the_one_run_and_states_why(world: World) -> None:
    world.begin(hyperparams=args(lr="1"))
    result = world.compared(world.agents(values={}))
    assert (result["outcome"], world.repeats()) == ("passed", [])
    (warning,) = [warning for warning in result["warnings"] if warning.startswith("Nothing was repeated")]
    assert "recorded no seed, and train.py could not be given one: give the script a hyperparameter `seed`" in warning


def test_compare__script_that_ignores_its_seed__ends_after_the_repeats_that_are_allowed(world: World) -> None:
    world.begin()
    result = world.compared(world.agents(values=dict.fromkeys("1234", SUSPICIOUS), own_seed="1337"))
    assert (result["outcome"], len(world.repeats())) == ("passed", 4)
    assert "4 trainings with other seeds gave too few different results." in result["warnings"]


def test_compare__budget_of_hours__stops_what_runs_and_judges_what_there_is(world: World) -> None:
    world.begin(repeats_hours=1e-9)
    result = world.compared(world.agents(values={}, hold={"1"}))
    (repeat,) = world.repeats()
    assert repeat["status"] == "stopped"
    assert "The budget repeats_hours is used up: 1e-09 hours of agents." in result["warnings"]
    assert result["outcome"] == "passed"


def test_compare__repeat_whose_script_does_not_start_in_time__is_stopped_and_named(world: World) -> None:
    world.begin()
    result = world.compared(world.agents(values={}, hold={"1"}))
    (repeat,) = world.repeats()
    assert (result["outcome"], repeat["status"]) == ("inconclusive", "stopped")
    assert any(warning.startswith("The training with seed 1 failed: ") for warning in result["warnings"])
    assert result["runs"][-1]["reason"] == "its script had not started 600 s after an agent took it"


def test_compare__superseded_meanwhile__stops_the_repeats(world: World) -> None:
    world.begin()
    team = world.agents(values={}, hold={"1"})

    def look() -> None:
        team.look()
        if team.running:
            run_cancellation.give_up(world.clearml, world.run, reason="over")

    with pytest.raises(ClearMLError, match="the check was ended while it trained with other seeds"):
        world.compared_while(look)
    (repeat,) = world.repeats()
    assert repeat["status"] == "stopped"


class KilledError(Exception):
    """The step's process was killed, so that it cleaned nothing up."""


def is_killed(world: World, monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[], object]) -> None:
    """Compare until `on_sleep` kills the step."""
    with monkeypatch.context() as broken:
        broken.setattr("clearml_ci.clearml_api.seeded_launch.Trainings._stop", lambda _: None)
        with pytest.raises(KilledError):
            world.compared_while(on_sleep)


@pytest.mark.parametrize("moment", ["queued", "running", "ended"])
def test_compare__executed_again__goes_on_with_the_repeat_that_it_launched(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world.begin()
    team = world.agents(values=dict.fromkeys("1234", 0.957), hold={"1"})

    def killed() -> None:
        if moment != "queued":
            team.look()
        if moment == "queued" or team.running:
            raise KilledError

    is_killed(world, monkeypatch, killed)
    team.hold.clear()
    if moment == "ended":
        team.look()
    result = world.compared(team)
    assert (result["outcome"], [seed_of(task) for task in world.repeats()]) == ("passed", ["1"])


@pytest.mark.parametrize("why", ["clear", "no worker"])
def test_compare__executed_again_if_no_more_is_trained__stops_the_repeat_that_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    world.begin()
    team = world.agents(values={}, hold={"1"})

    def killed() -> None:
        team.look()
        if team.running:
            raise KilledError

    is_killed(world, monkeypatch, killed)
    if why == "clear":
        for seed in ("77", "78", "79"):
            world.trained(0.957, seed=seed)
    else:
        for worker in team.workers:
            world.client.call("workers.unregister", worker=worker)
    assert world.compared(team)["outcome"] == "passed"
    (repeat,) = world.repeats()
    assert repeat["status"] == "stopped"
    assert task_fields.read(world.clearml, repeat["id"], ["system_tags"])["system_tags"] == ["archived"]


@pytest.mark.parametrize("request_number", [25, 50, 75, 100])
def test_compare__killed_after_so_many_requests_and_executed_again__trains_each_seed_once(
    world: World, monkeypatch: pytest.MonkeyPatch, request_number: int
) -> None:
    world.begin()
    team = world.agents(2, values={"1": 0.9432, "2": 0.9432, "3": 0.96, "4": 0.957})
    sent = []
    call = ClearML.call

    def killed(clearml: ClearML, endpoint: str, **body: Any) -> dict[str, Any]:
        answer = call(clearml, endpoint, **body)
        sent.append(endpoint)
        if len(sent) == request_number:
            raise KilledError
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(ClearML, "call", killed)
        broken.setattr("clearml_ci.clearml_api.seeded_launch.Trainings._stop", lambda _: None)
        with pytest.raises(KilledError):
            world.compared(team)
    assert world.compared(team)["outcome"] == "passed"
    made = world.repeats()
    assert len({seed_of(task) for task in made}) == len(made) <= 4
    assert {task["status"] for task in made} <= {"completed", "stopped"}


def test_compare__fork_without_an_approval__is_not_trained(world: World) -> None:
    fork = replace(PULL, head_repository="mallory/n", head_url="https://github.com/mallory/n.git")
    world.begin(pull_request=fork, candidate="find-or-train")
    result = world.compared(world.agents(values={}))
    assert world.repeats() == []
    assert any(warning.startswith("Nothing was repeated: ") for warning in result["warnings"])


# --- scripts without a hyperparameter for the seed -------------------------------------------------------------


def drafted(world: World, *, inject: bool) -> str:
    remote = launch_parameters.from_arguments(
        {"run_until": "completion", "run_script": "train.py", "run_project": world.project.name, "run_name": "train"}
    )
    assert remote is not None
    code = Code(URL, COMMIT, ["numpy"], inject_task_init=inject)
    return launch_draft.create(world.clearml, remote, code, run=world.begin())


@pytest.mark.parametrize(
    ("source", "above"),
    [
        ('"""Trains."""\nfrom __future__ import annotations\nfrom clearml import Task\nTask.init()\n', 2),
        ("from clearml import Task\nTask.init()\n", 0),
        ("print('nothing')\n", None),
    ],
    ids=["future", "plain", "added-init"],
)
def test_put_in__script_without_a_seed__sets_the_sdks_before_task_init(
    world: World, tmp_path: Path, source: str, above: int | None
) -> None:
    draft = drafted(world, inject=above is None)
    seeding = Seeding(world.trained(0.9, seed="1"), above=above)
    for _ in range(2):  # as in a step that is executed again
        seeded_draft.put_in(world.clearml, draft, seeding, "7")
    script = world.client.call("tasks.get_by_id", task=draft)["task"]["script"]
    assert (script["version_num"], script["entry_point"]) == (COMMIT, "train.py")
    (tmp_path / "train.py").write_text(source)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "clearml.py").write_text(FAKE_SDK)
    git(tmp_path, "init", "-q")
    (tmp_path / "seed.diff").write_text(script["diff"])
    git(tmp_path, "apply", "--unidiff-zero", "seed.diff")  # as clearml-agent does
    ran = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[:2] == ["seed 7", "init"]


FAKE_SDK = """
class Task:
    set_random_seed = staticmethod(lambda seed: print("seed", seed))
    init = staticmethod(lambda: print("init"))
"""


def test_prepare__script_without_a_seed__is_read_from_github(world: World, hub: Hub) -> None:
    commit = hub.commit("main", text='"""Trains."""\nfrom clearml import Task\nTask.init()\n')
    first = world.begin(hyperparams=args(lr="1"))
    world.agents(values={})
    github = signed_in(hub.server)
    check = replace(CHECK, commit=commit)
    launch = launch_parameters.from_arguments(pipeline_runs.read(world.clearml, world.run).arguments)
    assert launch is not None
    task = next(iter(task_records.existing(world.clearml, [first], []).values()))[0]
    trainings = seeded_trainings.prepare(
        services.of_agent(world.clearml),
        pipeline_runs.read(world.clearml, world.run),
        check,
        launch,
        github=github,
        like=Run(task, Inputs({"Args/lr": "1"}, {}, {}, ""), {}),
    )
    assert trainings.seeding == Seeding(first, above=1)
