"""Repeat a suspicious training with other seeds, until the gates are clear about all runs of the commit."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from clearml_ci.clearml_api import seeded_draft, seeded_launch, task_records
from clearml_ci.clearml_api.pipeline_runs import Run as PipelineRun
from clearml_ci.clearml_api.seeded_launch import Training, Trainings
from clearml_ci.clearml_api.session import ClearMLError, UnansweredError
from clearml_ci.core import console, recorded_task
from clearml_ci.core.documents import CommitRun
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import count
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.core.step_results import CompareResult, OtherRun
from clearml_ci.decisions import noise_rule, samples
from clearml_ci.github_api.session import GitHubError
from clearml_ci.operations import github_access, pull_request_code, seeded_trainings
from clearml_ci.operations.compare import Comparison
from clearml_ci.operations.services import Services
from clearml_ci.parameters import remote_run as launch_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import TRAINING, RemoteRun

Compare = Callable[[Sequence[OtherRun], int], Comparison]


@dataclass
class _Repeats:
    """The repeats of one check: `trained` are those that have ended, `failed` the one that ended them.

    `others` are the runs of the commit beside the candidate; `compare` judges them, if so many more may be asked for.
    """

    services: Services
    run: PipelineRun
    check: Check
    compare: Compare
    others: list[OtherRun]
    comparison: Comparison
    trained: list[Training] = field(default_factory=list)
    failed: Training | None = None

    @property
    def next(self) -> int:
        """The number of trainings to start now."""
        return min(_asked_for(self.comparison), self.check.repeats - len(self.trained))

    def train(self, trainings: Trainings) -> None:
        """Train and compare until it is clear, or a training fails, or no more are allowed."""
        while self.next > 0 and not self.failed and not trainings.over_budget:
            with contextlib.closing(trainings.each(self._new_seeds())) as ends:
                for ended in ends:
                    self._add(ended)
                    if self.failed or not _asked_for(self.comparison):
                        break

    def _new_seeds(self) -> list[str]:
        sample = self.comparison.sample
        runs = [*sample.runs, *(run for run, _ in sample.others)]
        ours = seeded_draft.seeds(self.services.clearml, [run.task.id for run in runs])
        known = {samples.seed_of(run, self.check.seed) for run in runs} | {*ours.values()}
        return samples.new_seeds([*known, *(training.seed for training in self.trained)], self.next)

    def _add(self, ended: Training) -> None:
        self.trained.append(ended)
        if ended.outcome.outcome != Outcome.PASSED:
            self.failed = ended
            return
        if ended.task not in [run["id"] for run in self.others]:
            self.others.append({"id": ended.task, "doubt": ""})
        self.comparison = self.compare(self.others, self.check.repeats)

    def judge_what_there_is(self, why: str) -> CompareResult:
        """The judgement without more repeats, and a warning that states `why` there are none."""
        judged = [found.by_noise.difference for found in self.comparison.gates if found.by_noise]
        draws = max((difference.runs for difference in judged if difference), default=1)
        self.comparison = self.compare(self.others, draws - 1)
        return self.result([f"{why}."])

    def result(self, warnings: Iterable[str] = ()) -> CompareResult:
        """The result of the step, with all runs of the commit."""
        compared = self.comparison.result
        return {
            **compared,
            "runs": self._runs(compared["runs"]),
            "warnings": [*compared["warnings"], *warnings],
        }

    def _runs(self, counted: Sequence[CommitRun]) -> list[CommitRun]:
        """The runs that count, and the one that failed, each with the seed that we gave it."""
        seeds = {training.task: training.seed for training in self.trained}
        runs: list[CommitRun] = [
            {**run, "seed": seeds.get(run["task"]["id"], run["seed"]), "repeat": run["task"]["id"] in seeds}
            for run in counted
        ]
        if self.failed:
            task = recorded_task.as_document(task_records.read(self.services.clearml, self.failed.task))
            reason = self.failed.outcome.reason
            runs.append({"task": task, "seed": self.failed.seed, "values": {}, "repeat": True, "reason": reason})
        return runs


def compare(
    services: Services, run: PipelineRun, check: Check, compare_: Compare, others: Sequence[OtherRun]
) -> CompareResult:
    """The comparison with all runs of the commit, and with repeats if the check allows them and a loss is suspicious.

    Raises ClearMLError, also if the run was ended while they ran.
    """
    allowed = check.repeats if check.candidate in TRAINING else 0
    repeats = _Repeats(services, run, check, compare_, [*others], compare_(others, allowed))
    if not allowed:
        return repeats.result()
    if not _asked_for(repeats.comparison):
        seeded_launch.stop_leftovers(services.clearml, _launch(run), run=run.id, step=services.own_task)
        return repeats.result()
    try:
        trainings = _prepared(services, run, check, repeats.comparison.sample.runs[0])
        repeats.train(trainings)
    except (UsageError, GitHubError) as error:
        console.log(f"{error}{getattr(error, 'log_only', '')}")
        seeded_launch.stop_leftovers(services.clearml, _launch(run), run=run.id, step=services.own_task)
        return repeats.judge_what_there_is(f"Nothing was repeated: {error}")
    if repeats.failed:
        failed = repeats.failed
        return repeats.result([f"The training with seed {failed.seed} failed: {failed.outcome.reason}."])
    if not _asked_for(repeats.comparison):
        return repeats.result()
    if trainings.over_budget:
        return repeats.judge_what_there_is(
            f"The budget repeats_hours is used up: {check.repeats_hours:g} hours of agents"
        )
    done = count(len(repeats.trained), "training")
    return repeats.judge_what_there_is(f"{done} with other seeds gave too few different results")


def _prepared(services: Services, run: PipelineRun, check: Check, like: samples.Run) -> Trainings:
    """The trainings of a suspicious commit; a fork's only with an approval, as for the first one.

    Raises UsageError or GitHubError if nothing may be trained, and ClearMLError.
    """
    launch = _launch(run)
    launch_parameters.refuse_shared_queue(run.arguments, code=launch.queue)
    launch_parameters.refuse_out_of_reach(launch, project=check.project, task_name=check.task_name)
    github = github_access.connect_if_possible(services.github, check)
    of_commit = replace(check, commit=like.task.commit)  # evidence of an earlier commit may still count
    if refusal := pull_request_code.approval_error(github, of_commit, launch):
        raise UsageError(refusal)
    hours = check.repeats_hours
    try:
        return seeded_trainings.prepare(services, run, of_commit, launch, github=github, like=like, hours=hours)
    except UnansweredError:
        raise
    except ClearMLError as error:  # no worker listens to the queue
        raise UsageError(str(error), log_only=error.log_only) from error


def _launch(run: PipelineRun) -> RemoteRun:
    launch = launch_parameters.from_arguments(run.arguments)
    if launch is None:
        raise UsageError("run_until is 'off'")
    return launch


def _asked_for(comparison: Comparison) -> int:
    """The number of trainings that the gates ask for; none if a gate is inconclusive for another reason."""
    rows = zip(comparison.rows, comparison.gates, strict=True)
    required = [(row, found.by_noise) for row, found in rows if row["required"]]
    for row, judged in required:
        is_asked_for = judged is not None and judged.more > 0 and row["reason"] == judged.reason
        if row["outcome"] not in HOLDS and not is_asked_for:
            return 0
    return noise_rule.trainings([judged for _, judged in required if judged])
