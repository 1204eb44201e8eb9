"""The stories that are harmed: what is there before, which jobs start, and what may be true at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from github.PullRequest import PullRequest

from sandbox.scenarios import developer
from tools.faults import forks, jobs
from tools.faults import stage as stages
from tools.faults.catalogue import CODE, CONTROLLERS, SCENARIOS, STEPS
from tools.faults.job import Job
from tools.faults.jobs import Order
from tools.faults.plan import APP, REAL, TOKEN, Case
from tools.faults.stage import Stage
from tools.faults.truth import Truth

BETTER, WORSE = 0.95, 0.50
IDLE_QUEUE = "without-workers"
PROBE: dict[str, str | None] = {
    "CLEARML_CI_CANDIDATE": "none",
    "CLEARML_CI_REMOTE_RUN": "first-iteration",
    "EXECUTION_ENTRYPOINT": "train.py",
    **dict.fromkeys(jobs.METRIC),
}
TRAINING: dict[str, str | None] = {
    "CLEARML_CI_REMOTE_RUN": "completion",
    "CLEARML_CI_CANDIDATE": "train",
    "EXECUTION_ENTRYPOINT": "train.py",
}
SHELL: dict[str, str | None] = dict.fromkeys(("GITHUB_TOKEN", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"))
PRINTED_SECRETS = {
    "a password of two words": "correct horse battery",
    "a password in an address": "p@ss/w0rd-of-the-database",
    "a token in a header": "tok_9f86d081884c7d659a2feaa0c55ad015",
    "a cloud key": "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY4242",
    "a line of a private key": "MIIEowIBAAKCAQEAx3vTjJkqmF0fjF5h0q9d3XyRkqzE7Q4",
}
CONSOLE = [
    f"PASSWORD={PRINTED_SECRETS['a password of two words']}",
    f"connecting to postgres://ci:{PRINTED_SECRETS['a password in an address']}@db.example.com/metrics",
    f"Authorization: token {PRINTED_SECRETS['a token in a header']}",
    f"aws_secret_access_key {PRINTED_SECRETS['a cloud key']}",
    "-----BEGIN RSA PRIVATE KEY-----",
    PRINTED_SECRETS["a line of a private key"],
    "-----END RSA PRIVATE KEY-----",
]


@dataclass
class Story:
    """The course of a case: its orders are started together, `second_job` and `push` by the hand.

    `begin` is what a user does in ClearML's web UI.
    """

    orders: list[Order]
    truth: Truth
    second_job: Callable[[], Order] | None = None
    push: Callable[[], Order] | None = None
    begin: Callable[[], object] = lambda: None


def prepare(stage: Stage, case: Case) -> Story:
    """Everything up to the moment at which harm may begin."""
    _agents(stage, case)
    story = PREPARED[case.scenario](stage)
    story.truth.outcome = SCENARIOS[case.scenario].outcome
    stage.prepared_jobs = len(stage.jobs)
    return story


def _agents(stage: Stage, case: Case) -> None:
    steps: dict[str, str] = {"GITHUB_API_URL": stage.api_url}
    if case.credentials == TOKEN:
        steps["GITHUB_TOKEN"] = stages.token(stage, "personal", STEPS)
    if case.credentials == APP:
        steps |= stages.app(stage)
    roles: dict[str, Mapping[str, str]] = {CONTROLLERS: {"FAULTS_CONTROLLER": case.controller}, STEPS: steps}
    stage.steps_here = case.steps_here
    if case.steps_here:
        of_forks = json.dumps({**stages.clearml_variables(stage, STEPS), **roles.pop(STEPS)})
        roles[CONTROLLERS] = {**roles[CONTROLLERS], forks.OF_FORKS: of_forks}
    if "launch" in SCENARIOS[case.scenario].traits:
        roles[CODE] = {"FAULTS_TRAINING": training(case.scenario)}
    stages.start_agents(stage, roles, real=case.agents == REAL)


def training(scenario: str, *, good: str = "") -> str:
    """The plan of the launched code, for training.py; in a bisection the commit `good` is better than the others."""
    fails = scenario == "probe fails"
    lasts = 60.0 if scenario == "probe" else 0.0
    better = {good: [BETTER - 0.1, BETTER]} if scenario == "bisection" else {}
    values = [WORSE - 0.1, WORSE]
    return json.dumps({"console": CONSOLE, "fails": fails, "values": values, "of_commit": better, "lasts": lasts})


def check(
    stage: Stage, pull: PullRequest, settings: Mapping[str, str | None] | None = None, *, action: str = "opened"
) -> Order:
    """The job of a pull request as it stands now."""
    head = stages.event(stage, pull.number, action)
    commit = head["pull_request"]["head"]["sha"]
    return Order(f"check of #{pull.number}", head, commit=commit, pull=pull.number, settings=settings or {})


def _checked(value: float | None, *, launches: int = 0, settings: Mapping[str, str | None] | None = None) -> Any:
    """A pull request whose training reported `value`, and its one check."""

    def prepared(stage: Stage) -> Story:
        pull = stages.propose(stage, "change", value=value)
        order = check(stage, pull, settings)
        truth = Truth(commits=[order.commit], pulls=[pull.number], bests={stage.best}, runs={"pr_check": 1})
        truth.launches = launches
        if value == BETTER:
            truth.green = {order.commit}
        return Story([order], truth, *_repeated(stage, pull, truth, value, settings or {}))

    return prepared


def _repeated(
    stage: Stage, pull: PullRequest, truth: Truth, value: float | None, settings: Mapping[str, str | None]
) -> tuple[Callable[[], Order], Callable[[], Order]]:
    """A second job for the same commit, and a push whose model is as good or bad as the one before."""

    def second_job() -> Order:
        truth.runs["pr_check"] += 1
        return check(stage, pull, settings)

    def push() -> Order:
        commit = stages.push(stage, "one more commit", value=value)
        truth.commits.append(commit)
        truth.runs["pr_check"] += 1
        if truth.green:
            truth.green.add(commit)
        return check(stage, pull, settings, action="synchronize")

    return second_job, push


def _checked_again(stage: Stage) -> Story:
    """A good commit was checked, and a bad one is pushed: its check edits the comment."""
    pull = stages.propose(stage, "change", value=BETTER)
    first = done(stage, check(stage, pull))
    story = _second(stage, pull)
    story.truth.commits.insert(0, first.commit)
    story.truth.green.add(first.commit)
    return story


def _second(stage: Stage, pull: PullRequest) -> Story:
    stages.push(stage, "a worse model", value=WORSE)
    order = check(stage, pull, action="synchronize")
    truth = Truth(commits=[order.commit], pulls=[pull.number], bests={stage.best}, runs={"pr_check": 2})
    return Story([order], truth, *_repeated(stage, pull, truth, WORSE, {}))


def _probe(stage: Stage) -> Story:
    story: Story = _checked(None, launches=1, settings=PROBE)(stage)
    story.truth.green = set(story.truth.commits)
    return story


def _probe_fails(stage: Stage) -> Story:
    story: Story = _checked(None, launches=1, settings=PROBE)(stage)
    stage.secrets |= PRINTED_SECRETS
    return story


def _on_pass(stage: Stage) -> Story:
    story: Story = _checked(BETTER, settings={"CLEARML_CI_PROMOTE": "on-pass"})(stage)
    new = stages.task_of(stage, story.orders[0].commit)
    story.truth.bests.add(new)
    story.truth.best_if_done = new
    if pushed := story.push:
        story.push = lambda: _either(stage, story.truth, pushed())
    return story


def _either(stage: Stage, truth: Truth, order: Order) -> Order:
    """The pushed model is as good: whichever run moves the tag last gives it to its own."""
    truth.bests.add(stages.task_of(stage, order.commit))
    truth.best_if_done = ""
    return order


def merged(stage: Stage, branch: str, value: float) -> tuple[Order, str]:
    """A pull request that is merged: the job of the merge, and the task of its head."""
    pull = stages.propose(stage, branch, value=value)
    task = stages.task_of(stage, developer.head(stage.laptop))
    pull.merge()
    event = stages.event(stage, pull.number, "closed")
    commit = event["pull_request"]["merge_commit_sha"]
    stage.laptop.git("fetch", "-q", "origin")
    return Order(f"merge of #{pull.number}", event, commit=commit, pull=pull.number), task


def _promote(value: float) -> Callable[[Stage], Story]:
    def prepared(stage: Stage) -> Story:
        order, task = merged(stage, "change", value)
        truth = Truth({order.commit}, [order.commit], [order.pull], {stage.best}, runs={"promote": 1})
        truth.best_if_done = stage.best
        if value == BETTER:
            truth.bests.add(task)
            truth.best_if_done = task
        return Story([order], truth)

    return prepared


def _rollback(stage: Stage) -> Story:
    """Two promotions, of which the last is undone: the task of the first must be the best, and not main's."""
    first, before = merged(stage, "first", BETTER)
    second, undone = merged(stage, "second", BETTER + 0.02)
    for order in (first, second):
        done(stage, order)
    truth = Truth({first.commit, second.commit}, [first.commit, second.commit], [first.pull, second.pull])
    truth.bests, truth.best_if_done, truth.runs = {before, undone}, before, {"promote": 3}
    return Story([Order("rollback", {}, "workflow_dispatch", ("rollback",))], truth)


def _audit(**settings: str | None) -> Callable[[Stage], Story]:
    def prepared(stage: Stage) -> Story:
        if "CLEARML_CI_AUDIT_QUEUES" in settings:
            stage.client.call("queues.create", name=IDLE_QUEUE)
        truth = Truth(bests={stage.best}, runs={"audit": 1})
        return Story([audit_order(**settings)], truth)

    return prepared


def audit_order(**settings: str | None) -> Order:
    """The job of a schedule."""
    return Order("audit", {"schedule": "30 5 * * 1"}, "schedule", settings={"CLEARML_TASK_NAME": None, **settings})


def _rerun(stage: Stage) -> Story:
    """Of a bad model's check, from a shell, with an edit that does not make it good."""
    first, story = _first_check(stage)
    run = first.outputs["pipeline_id"]
    story.orders = [Order("rerun", {}, "", ("rerun", run, "threshold_percent=5"), settings=SHELL)]
    return story


def _new_run(stage: Stage) -> Story:
    """The same from ClearML's web UI: no job waits for it."""
    first, story = _first_check(stage)
    queue = stages.queue_id(stage, CONTROLLERS)
    edits = [{"name": "threshold_percent", "value": "5"}]
    call = {"task": first.outputs["pipeline_id"], "queue": queue, "args": edits, "verify_watched_queue": True}
    story.begin = lambda: stage.client.call("pipelines.start_pipeline", **call)
    return story


def _first_check(stage: Stage) -> tuple[Job, Story]:
    pull = stages.propose(stage, "change", value=WORSE)
    first = done(stage, check(stage, pull), code=1)
    truth = Truth(commits=[first.commit], pulls=[pull.number], bests={stage.best}, runs={"pr_check": 2})
    return first, Story([], truth)


def _five(stage: Stage) -> Story:
    """Five pull requests are opened concurrently, good ones and bad ones."""
    truth = Truth(bests={stage.best}, runs={"pr_check": 5})
    orders = []
    for number in range(5):
        value = BETTER if number % 2 == 0 else WORSE
        pull = stages.propose(stage, f"change-{number}", value=value)
        order = check(stage, pull)
        orders.append(order)
        truth.commits.append(order.commit)
        truth.pulls.append(pull.number)
        truth.green |= {order.commit} if value == BETTER else set()
    return Story(orders, truth)


def done(stage: Stage, order: Order, *, code: int = 0) -> Job:
    """A job that nothing harms, to its end."""
    job = jobs.start(stage, order, deadline=90)
    job.done.wait()
    if job.program.exit_code != code:
        raise RuntimeError(f"{order.name} ended with {job.program.exit_code} before anything was harmed: {job.log}")
    return job


def wait(started: Sequence[Job]) -> None:
    for job in started:
        job.done.wait()


PREPARED: dict[str, Callable[[Stage], Story]] = {
    "better": _checked(BETTER),
    "worse": _checked(WORSE),
    "untested": _checked(None),
    "better, job posts": _checked(BETTER),
    "worse, job posts": _checked(WORSE),
    "better, detached": _checked(BETTER, settings={"CLEARML_CI_WAIT": "false"}),
    "worse, detached": _checked(WORSE, settings={"CLEARML_CI_WAIT": "false"}),
    "checked again, worse": _checked_again,
    "probe": _probe,
    "probe fails": _probe_fails,
    "training, worse": _checked(None, launches=1, settings=TRAINING),
    "promote": _promote(BETTER),
    "promote, not better": _promote(WORSE),
    "on pass": _on_pass,
    "rollback": _rollback,
    "audit": _audit(),
    "audit with findings": _audit(CLEARML_CI_AUDIT_QUEUES=IDLE_QUEUE),
    "rerun, worse": _rerun,
    "New run, worse": _new_run,
    "five pull requests": _five,
}
