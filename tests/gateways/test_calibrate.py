"""`ci_trigger.py calibrate` against a ClearML server: the test acts as the agents, which train while the job sleeps."""

import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from clearml_ci.clearml_api import calibration_tasks
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.calibration_tasks import Seeded
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.seeded_draft import Seeding
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core.errors import UsageError
from clearml_ci.job import calibrate
from clearml_ci.parameters import remote_run
from sandbox.runtime import github_access
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.environment import JOB_PERMISSIONS
from sandbox.scenarios import job
from sandbox.scenarios.job import Running
from sandbox.scenarios.story import Story
from tests.clock import fast_clock
from tests.gateways.conftest import Project
from tests.gateways.test_noise import args

BEST = "Best Performance"
CALIBRATED, REFERENCE = f"{BEST}: calibration", f"{BEST}: reference"
ACCURACY = (0.95, 0.96, 0.94, 0.945, 0.955)


@dataclass
class World:
    """A repository, the server, agents that the test plays, and what the job printed."""

    tale: Story
    client: Client
    project: Project
    queue: str
    environ: dict[str, str]
    printed: pytest.CaptureFixture[str]
    workers: tuple[str, ...]
    most: int = 0  # trainings at a time
    broken: str = ""  # the seed whose training fails
    constant: bool = False  # the seed changes nothing
    running: dict[str, str] = field(default_factory=dict)

    def work(self) -> None:
        """Each worker ends its training, and takes the next one."""
        for worker in self.workers:
            if task := self.running.pop(worker, ""):
                self._end(task)
                self.client.call("workers.status_report", worker=worker, queues=[self.queue])
        waiting = self.client.call("queues.get_by_id", queue=self.queue)["queue"]["entries"]
        self.most = max(self.most, len(waiting))
        for worker in self.workers:
            if entry := self.client.call("queues.get_next_task", queue=self.queue).get("entry"):
                self.running[worker] = entry["task"]
                self.client.call("tasks.started", task=entry["task"])
                self.client.call("workers.status_report", worker=worker, queues=[self.queue], task=entry["task"])

    def _end(self, task: str) -> None:
        seed = self.seed_of(task)
        if seed == self.broken:
            self.client.call("tasks.failed", task=task)
            return
        self.project.report(task, 0.9 if self.constant else ACCURACY[int(seed) % len(ACCURACY)])
        self.client.call("tasks.completed", task=task)

    def seed_of(self, task: str) -> str:
        found = self.client.call("tasks.get_by_id", task=task)["task"]
        return str(found["hyperparams"]["properties"]["seed"]["value"])

    def trainings(self, *, tag: str = "") -> list[dict[str, Any]]:
        filters = {"tags": [tag]} if tag else {}
        found = self.client.call("tasks.get_all", project=[self.project.id], name="^train digits$", **filters)["tasks"]
        return [task for task in found if task["script"]["version_num"] == self.head]

    def reference(self, *values: float) -> set[str]:
        """Runs of earlier commits with the tag of the reference."""
        made = set()
        for number, value in enumerate(values):
            task = self.project.task(
                commit=f"{number:040x}", name="train digits", tags=[REFERENCE], hyperparams=args(seed=f"{number}")
            )
            self.project.report(task, value)
            made.add(task)
        return made

    @property
    def head(self) -> str:
        return str(self.tale.repository.get_branch("main").commit.sha)

    def calibrate(
        self, number: int = 5, *, on_sleep: Callable[[], object] | None = None, **environ: str
    ) -> tuple[int, list[str]]:
        """The exit code, and the lines that the job printed."""
        clock = fast_clock(on_sleep=on_sleep or self.work)
        code = calibrate.run({**self.environ, **environ}, str(number), clock)
        return code, self.printed.readouterr().out.splitlines()


@pytest.fixture
def world(
    tale: Story,
    client: Client,
    project: Project,
    prefix: str,
    user_environment: Mapping[str, str],
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    queue = client.call("queues.create", name=f"{prefix}-code")["id"]
    workers = tuple(f"{prefix}:worker-{number}" for number in range(2))
    for worker in workers:
        client.call("workers.register", worker=worker, queues=[queue])
    token = github_access.token(
        tale.sandbox.github, "workflow", repository=tale.sandbox.repository, permissions=JOB_PERMISSIONS
    )
    environ = {
        **user_environment,
        "GITHUB_REPOSITORY": tale.sandbox.repository,
        "GITHUB_API_URL": tale.sandbox.github.api_url,
        "GITHUB_TOKEN": token,
        "CLEARML_PROJECT": project.name,
        "CLEARML_TASK_NAME": "train digits",
        "CLEARML_BEST_TAGNAME": BEST,
        "CLEARML_SCALAR_TITLE": "accuracy",
        "CLEARML_SCALAR_SERIES": "validation",
        "CLEARML_CI_CODE_QUEUE": f"{prefix}-code",
        "CLEARML_CI_RUN_SCRIPT": "train.py",
    }
    made = World(tale, client, project, queue, environ, capsys, workers)
    project.report(project.task(commit="a" * 40, name="train digits", hyperparams=args(seed="7")), 0.95)
    yield made
    for worker in workers:
        client.call("workers.unregister", worker=worker)


def test_calibrate__five_seeds_on_two_workers__trains_two_at_a_time_and_states_the_noise(world: World) -> None:
    code, lines = world.calibrate()
    trained = world.trainings(tag=CALIBRATED)
    assert (code, world.most) == (0, 2)
    assert sorted(world.seed_of(task["id"]) for task in trained) == ["1", "2", "3", "4", "5"]
    assert {task["id"] for task in trained} == {task["id"] for task in world.trainings(tag="main_branch")}
    assert lines[0].startswith(f"5 trainings of {world.head[:10]}, the head of main, on the queue ")
    assert [line for line in lines if re.fullmatch(r"seed \d: accuracy/validation 0\.96 \(\d of 5 runs\)", line)]
    row = next(line for line in lines if line.startswith("accuracy/validation "))
    assert row.split()[:5] == ["accuracy/validation", "5", "0.9500", "0.0079", "4"]


def test_calibrate__no_reference_yet__fills_it_with_these_runs(world: World) -> None:
    world.calibrate()
    assert ids(world.trainings(tag=REFERENCE)) == ids(world.trainings())


def test_calibrate__again__trains_nothing_and_states_the_same(world: World) -> None:
    first = world.calibrate()
    trained = ids(world.trainings())
    again = world.calibrate(on_sleep=refuse)
    assert ids(world.trainings()) == trained
    assert (again[0], again[1][-3:]) == (first[0], first[1][-3:])
    assert "5 of 5 runs exist, and 0 are under way" in again[1]


def test_calibrate__more_than_before__trains_only_the_others(world: World) -> None:
    world.calibrate(2)
    two = ids(world.trainings())
    world.calibrate(3)
    assert len(two) == 2
    assert two < ids(world.trainings())
    assert len(world.trainings()) == 3


def test_calibrate__interrupted__says_how_to_go_on_and_goes_on_there(world: World) -> None:
    sleeps = iter(range(3))

    def interrupted() -> None:
        if next(sleeps, None) is None:
            raise KeyboardInterrupt
        world.work()

    code, lines = world.calibrate(on_sleep=interrupted)
    before = ids(world.trainings())
    assert code == 4
    assert lines[-1] == (
        "error: ClearML CI: interrupted with 2 runs; 2 trainings on the queue "
        f"'{world.environ['CLEARML_CI_CODE_QUEUE']}' go on, unless you abort them in ClearML: "
        "`python ci_trigger.py calibrate 5` counts both, and trains the rest"
    )
    code, lines = world.calibrate()
    assert (code, lines[1]) == (0, "2 of 5 runs exist, and 2 are under way")
    assert before < ids(world.trainings())
    assert len(world.trainings()) == 5


def test_calibrate__interrupted_by_a_signal__ends_with_one_line(world: World) -> None:
    def interrupt(line: str, running: Running) -> None:
        if line.startswith("seed 2: started"):
            running.process.send_signal(signal.SIGTERM)

    done = job.run(
        world.tale.sandbox, event={}, settings={**world.environ}, command=("calibrate", "3"), on_line=interrupt
    )
    assert (done.exit_code, "Traceback" in done.log) == (4, False), done.log
    assert "::error::ClearML CI: interrupted with 0 runs; 2 trainings on the queue " in done.log.splitlines()[-1]
    assert world.calibrate(3)[1][1] == "0 of 3 runs exist, and 2 are under way"


def test_calibrate__another_one_that_trains_meanwhile__is_counted(world: World) -> None:
    others = iter([lambda: world.calibrate(5)])

    def sleep() -> None:
        next(others, world.work)()

    assert world.calibrate(5, on_sleep=sleep)[0] == 0
    assert len(world.trainings()) == 5


def test_calibrate__launch_that_was_killed_before_it_was_enqueued__is_taken_up(world: World) -> None:
    clearml = clearml_session.connect(fast_clock())
    world.calibrate(2)
    task = world.trainings()[0]
    launch = remote_run.from_arguments(
        {"candidate": "train", "run_script": "train.py", "run_project": world.project.name, "run_name": "train digits"}
    )
    assert launch
    code = Code(task["script"]["repository"], world.head, None, inject_task_init=False)
    draft = calibration_tasks.create(clearml, Seeded(launch, code, Seeding("", "Args/seed")), "3")
    world.calibrate(3)
    assert draft in ids(world.trainings(tag=CALIBRATED))
    assert (world.seed_of(draft), len(world.trainings())) == ("3", 3)


def test_calibrate__script_without_a_hyperparameter_for_the_seed__gets_a_call_that_sets_it(world: World) -> None:
    assert world.calibrate(5, CLEARML_TASK_NAME="seedless", CLEARML_CI_RUN_NAME="seedless")[0] == 0
    found = world.client.call("tasks.get_all", tags=[CALIBRATED], project=[world.project.id])["tasks"]
    calls = [re.search(r"^\+.*Task\.set_random_seed\((\d)\)$", task["script"]["diff"], re.MULTILINE) for task in found]
    assert sorted(call[1] for call in calls if call) == ["1", "2", "3", "4", "5"]


def test_calibrate__seed_that_changes_nothing__is_refused_and_nothing_is_tagged(world: World) -> None:
    world.constant = True
    with pytest.raises(UsageError, match="all 3 trainings report the same values, so the script takes its random "):
        world.calibrate(3, CLEARML_TASK_NAME="seedless", CLEARML_CI_RUN_NAME="seedless")
    assert not world.client.call("tasks.get_all", tags=[CALIBRATED], project=[world.project.id])["tasks"]


def test_calibrate__seed_that_is_recorded_and_changes_nothing__is_refused(world: World) -> None:
    world.reference(0.95)  # which recorded Args/seed
    world.constant = True
    with pytest.raises(UsageError, match="all 2 trainings report the same values"):
        world.calibrate(2)


def test_calibrate__training_that_fails__is_named_and_trained_again_the_next_time(world: World) -> None:
    world.broken = "2"
    with pytest.raises(
        ClearMLError,
        match=r"the training with seed 2 failed: .*; correct it, and calibrate again: what has ended is counted",
    ):
        world.calibrate(3)
    assert not world.trainings(tag=CALIBRATED)
    world.broken = ""
    assert world.calibrate(3)[0] == 0
    assert len(world.trainings()) == 4


def test_calibrate__metric_that_no_run_reports__is_named_with_the_nearest(world: World) -> None:
    for _ in range(2):
        with pytest.raises(ClearMLError, match=r"no accuracy/validatoin; did you mean 'accuracy/validation'\?"):
            world.calibrate(5, CLEARML_SCALAR_SERIES="validatoin")


def test_calibrate__full_reference__stays_and_the_noise_counts(world: World) -> None:
    full = world.reference(*[0.95] * 9, 0.951)
    _, lines = world.calibrate()
    assert ids(world.client.call("tasks.get_all", tags=[REFERENCE], project=[world.project.id])["tasks"]) == full
    row = next(line for line in lines if line.startswith("accuracy/validation "))
    assert (row.split()[1], row.split()[4]) == ("10", "13")  # 9 of the reference, and 4


def test_calibrate__head_that_is_worse_than_a_young_reference__leaves_it(world: World) -> None:
    young = world.reference(1.95, 1.951, 1.949, 1.95, 1.952)
    _, lines = world.calibrate()
    assert any(
        "the head of main is worse than the reference, beyond its noise: the reference stays" in line for line in lines
    )
    assert ids(world.client.call("tasks.get_all", tags=[REFERENCE], project=[world.project.id])["tasks"]) == young


def test_calibrate__unknown_queue__is_named_with_those_that_have_workers(world: World) -> None:
    with pytest.raises(UsageError, match="no queue 'gpuu': ") as raised:
        world.calibrate(CLEARML_CI_CODE_QUEUE="gpuu")
    assert "; queues with workers: " in raised.value.log_only
    assert world.environ["CLEARML_CI_CODE_QUEUE"] in raised.value.log_only


@pytest.mark.parametrize(
    ("number", "environ", "message"),
    [
        ("1", {}, "N is '1': expected the number of runs, 2 to 100"),
        ("x", {}, "N is 'x': expected the number of runs, 2 to 100"),
        ("5", {"CLEARML_SCALAR_TITLE": "", "CLEARML_SCALAR_SERIES": ""}, "there is no gate: "),
        ("5", {"CLEARML_CI_RUN_NAME": "another"}, "CLEARML_CI_RUN_NAME is 'another', but "),
        ("5", {"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set: "),
    ],
)
def test_calibrate__wrong_settings__trains_nothing_and_says_what_to_set(
    world: World, number: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        calibrate.run({**world.environ, **environ}, number, fast_clock())
    assert not world.trainings()


def ids(tasks: list[dict[str, Any]]) -> set[str]:
    return {str(task["id"]) for task in tasks}


def refuse() -> None:
    pytest.fail("it waits, although nothing has to be trained")
