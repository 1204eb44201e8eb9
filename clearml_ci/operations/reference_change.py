"""Change the reference after a merge, and take a change back with a rollback.

A run records a change before and after it makes it. If it was interrupted, it compares with the reference as it was
before, and makes the recorded change. A task is stamped when it gets a tag of the reference: no other run gives it one
again after it was taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from clearml_ci.clearml_api import (
    best_tag,
    project_lookup,
    promotion_ledger,
    reference_ledger,
    task_inputs,
    task_records,
)
from clearml_ci.clearml_api.pipeline_runs import Run as PipelineRun
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import REFERENCE_STAMP
from clearml_ci.core import slices
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Judgement
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import noise_rule, reference, reference_tags, samples
from clearml_ci.decisions.noise_rule import Rule
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.reference_tags import Carriers, Change
from clearml_ci.decisions.samples import Run
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp
from clearml_ci.operations import baselines, reference_runs
from clearml_ci.operations.compare import Comparison
from clearml_ci.operations.services import Services
from clearml_ci.parameters.check import Check

_STAMPED = RankingPolicy("reference")


def after_merge(
    services: Services,
    run: PipelineRun,
    check: Check,
    candidate: RecordedTask,
    comparison: Comparison,
    *,
    begun: Sequence[Change] = (),
    accepted: str = "",
) -> str:
    """Fill the reference with the merged runs, or begin it anew: the reason why it begins anew, or "".

    A merge that changed it already is left out. A loss that was merged although it is credible is no part of the
    reference: the next check names it again, unless it was `accepted`, as that states. `begun` are those that runs of
    this merge recorded.
    """
    clearml = services.clearml
    if begun:
        return _made(services, check, _taken_over(clearml, run, begun))
    merged = comparison.sample.runs
    stamps = best_tag.stamps(clearml, [task.task.id for task in merged], REFERENCE_STAMP) if merged else {}
    if not merged or any(stamps.values()) or (_is_worse(comparison) and not accepted):
        return ""
    present = comparison.reference
    before = present if present.runs or present.showed else _begun(clearml, check, candidate)
    judged = [found.by_noise for found in comparison.gates if found.by_noise and found.gate.required]
    after, renewed = reference.after(before, merged, judged, check.alike, accepted=accepted)
    change = Change(
        run.id,
        reference_tags.carriers(present),
        reference_tags.carriers(after),
        renewed,
        best=check.best_tag,
        project=candidate.project_id,
        name=candidate.name,
        commit=check.commit,
    )
    if change.before == change.after:
        return ""
    reference_ledger.begin(clearml, change)
    return _made(services, check, change)


def after_calibration(services: Services, check: Check, tasks: Sequence[str], branch: str) -> list[str]:
    """Tag the trainings of a calibration, whose noise counts from now on, and fill the reference with them: notes.

    No run of a pipeline records this: it adds what is stamped, and takes nothing away. A full reference stays as it is;
    so does any if these runs are credibly worse, or if `alike` calls their inputs different: merges begin it anew.
    Raises UsageError if their seeds change nothing.
    """
    clearml, names = services.clearml, reference_tags.names(check.best_tag)
    measured = task_records.with_metrics(clearml, tasks, check.gates)
    candidate, _ = measured[tasks[0]]
    tagged = baselines.with_reference(clearml, check, candidate.project_id)
    known = reference_runs.of_name(tagged, check.best_tag, candidate.name)
    inputs = task_inputs.existing(clearml, list(dict.fromkeys([*tasks, *known.ids])))
    runs = [Run(task, inputs[task.id], values) for task, values in measured.values()]
    _require_draws(runs)
    best_tag.add_to_all(clearml, tasks, best_tag.MAIN_TAG)
    best_tag.add_to_all(clearml, tasks, names.calibrated)
    present = known.reference(inputs)
    present = replace(present, calibrated=tuple(run for run in present.calibrated if run.task.id not in tasks))
    stamps = best_tag.stamps(clearml, tasks, REFERENCE_STAMP)
    merged = [run for run in runs if not stamps[run.task.id]]
    if not merged:
        return []
    if _are_worse(check, merged, present):
        return [f"the head of {branch} is worse than the reference, beyond its noise: the reference stays as it is"]
    before = present if present.runs or present.showed else _begun(clearml, check, candidate)
    after, different = reference.after(before, merged, [], check.alike)
    if different:
        return [f"the reference stays as it is, and a merge will begin it anew: {different}"]
    change = Change("", reference_tags.carriers(present), reference_tags.carriers(after))
    _retag(clearml, check, change.before, change.after, stamp=partial(_stamp, services, change))
    return []


def _require_draws(runs: Sequence[Run]) -> None:
    """Refuse trainings that all report the same. Raises UsageError."""
    if samples.report_the_same(runs):
        raise UsageError(
            f"all {len(runs)} trainings report the same values, so the script takes its random numbers from a seed of "
            "its own: name the hyperparameter that holds it in the policy, such as `seed: Args/my_seed`"
        )


def _are_worse(check: Check, runs: Sequence[Run], present: Reference) -> bool:
    """True if these runs are credibly worse than the reference by a required gate."""
    every = slices.expanded(check.gates, [run.reported for run in (*runs, *present.in_force)])
    cases = reference.cases([(gate, Judgement(Outcome.PASSED, "")) for gate in every], runs, present, seed=check.seed)
    judged = zip(cases, noise_rule.judge(cases, Rule()), strict=True)
    return any(case.gate.required and found.outcome == Outcome.REGRESSED for case, found in judged)


def begun(clearml: ClearML, run: PipelineRun, check: Check, candidate: RecordedTask) -> list[Change]:
    """The change of this run, and those of the same merge that other runs did not finish, newest first."""
    of_merge = _of_merge(clearml, run, check, candidate)
    return [change for change in of_merge if change.run == run.id or not change.made]


def undo(services: Services, run: PipelineRun, check: Check, *, undone: str, candidate: RecordedTask) -> None:
    """Take back the change that the run `undone` made, once, or else another run of the same merge.

    `check` is about that merge, and `candidate` is a task of the same model.
    """
    clearml = services.clearml
    change = reference_ledger.change_of(clearml, undone)
    if change is None:
        change = next(iter(_of_merge(clearml, run, check, candidate)), None)
    if change is None or change.undone:
        return
    tagged = baselines.with_reference(clearml, replace(check, gates=()), candidate.project_id)
    present = reference_runs.carriers(tagged, check.best_tag, candidate.name)
    _retag(clearml, check, present, reference_tags.without(change, present))
    reference_ledger.record(clearml, replace(change, undone=True))


def _of_merge(clearml: ClearML, run: PipelineRun, check: Check, candidate: RecordedTask) -> list[Change]:
    _, changes = promotion_ledger.with_changes(clearml, run.project)
    return reference_tags.of_merge(changes, best=check.best_tag, name=candidate.name, commit=check.commit)


def _taken_over(clearml: ClearML, run: PipelineRun, begun: Sequence[Change]) -> Change:
    """The change of this run, which is that of another one if it was killed; a rollback of this run undoes it."""
    change = next((change for change in begun if change.run == run.id), None)
    if change is None:
        change = replace(begun[0], run=run.id)
        reference_ledger.begin(clearml, change)
    reference_ledger.forget(clearml, [other for other in begun if other.run != run.id])
    return change


def _is_worse(comparison: Comparison) -> bool:
    """True if the merged model is credibly worse than the reference."""
    return any(
        judged.by_noise and judged.gate.required and judged.by_noise.outcome == Outcome.REGRESSED
        for judged in comparison.gates
    )


def _begun(clearml: ClearML, check: Check, candidate: RecordedTask) -> Reference:
    """The reference that the tags of earlier merges give."""
    runs = reference_runs.of_default_branch(
        clearml,
        check,
        candidate,
        project=project_lookup.existing_id(clearml, check.project) if check.project else None,
        in_scope=lambda task: baselines.is_in_scope(check, task, candidate.project_id),
    )
    return reference.of_tagged(runs)


def _made(services: Services, check: Check, change: Change) -> str:
    if not change.is_settled:
        _retag(services.clearml, check, change.before, change.after, stamp=partial(_stamp, services, change))
        reference_ledger.record(services.clearml, replace(change, made=True))
    return change.renewed


def _retag(
    clearml: ClearML, check: Check, before: Carriers, after: Carriers, *, stamp: Callable[[], None] = lambda: None
) -> None:
    """Tag and stamp first, and untag then, so that the reference is never smaller than before or after."""
    names = reference_tags.names(check.best_tag)
    kinds = (
        (names.earlier, before.earlier, after.earlier),
        (names.showed, before.showed, after.showed),
        (names.runs, before.runs, after.runs),
    )
    for tag, had, has in kinds:
        best_tag.add_to_all(clearml, _not_in(has, had), tag)
    stamp()
    for tag, had, has in kinds:
        best_tag.remove_tag(clearml, _not_in(had, has), tag)


def _stamp(services: Services, change: Change) -> None:
    """Stamp the tasks that are new in the reference, in its order."""
    new = (task for task in (*change.after.runs, *change.after.showed) if task in change.added)
    for number, task in enumerate(new):
        at = services.clock.now() + number * 1e-3
        best_tag.stamp(services.clearml, task, Stamp(at, _STAMPED), REFERENCE_STAMP)


def _not_in(tasks: Sequence[str], others: Sequence[str]) -> list[str]:
    return [task for task in tasks if task not in others]
