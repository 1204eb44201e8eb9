"""Compare a candidate with the baseline: the gates' judgements, what else differs, and warnings about the baseline.

The step `compare` does it before a merge, and `promote` once more after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from clearml_ci.clearml_api import (
    promotion_ledger,
    task_fields,
    task_inputs,
    task_metrics,
    task_records,
)
from clearml_ci.clearml_api.pipeline_runs import Run as PipelineRun
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured, Related
from clearml_ci.core import baseline, checkpoint, comparability, errors, formatting, recorded_task, slices
from clearml_ci.core import gate as gates
from clearml_ci.core.comparability import Difference, Inputs
from clearml_ci.core.documents import CommitRun, GateRow, TaskDocument
from clearml_ci.core.gate import Gate, Judgement, Reported
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult, OtherRun
from clearml_ci.decisions import gate_noise, promotion, samples, slice_rows
from clearml_ci.decisions.gate_noise import Judged
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.reference_tags import Carriers
from clearml_ci.decisions.samples import Run, Sample
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import baselines, checkpoints, commit_history, reference_runs
from clearml_ci.parameters.check import Check

Judgements = list[tuple[Gate, Judgement]]


_NOT_MEASURED = (Outcome.INCONCLUSIVE, None)  # the outcome and the value of a gate whose metric was not reported


@dataclass(frozen=True)
class Evidence:
    """The candidate, the doubt about its values, or "", and the other clean runs of its commit.

    `main_task`: the id of the task that the merge base was judged by, if it was found.
    """

    candidate: TaskDocument
    doubt: str = ""
    others: Sequence[OtherRun] = ()
    main_task: str | None = None


@dataclass(frozen=True)
class Before:
    """The ids of the tasks that had the best tag, and those of the reference, if a promotion has changed them since."""

    best: Sequence[str] = ()
    reference: Carriers | None = None


@dataclass(frozen=True)
class Comparison:
    """A comparison as a step leaves it, with the runs and the judgements that it was made of.

    `rows` are those of all gates; the result has those of the slices that are shown.
    """

    result: CompareResult
    gates: tuple[Judged, ...]
    rows: tuple[GateRow, ...]
    sample: Sample
    reference: Reference


@dataclass(frozen=True)
class Known:
    """The runs of the candidate's commit, itself first, each with its doubt; the tagged tasks, and the reference.

    `inputs` are those of all of them. `main` is the base branch's own task.
    """

    measured: Mapping[str, Measured]
    doubts: Mapping[str, str]
    every: Sequence[Measured]
    reference: reference_runs.Tagged
    inputs: Mapping[str, Inputs]
    main: Measured | None = None

    @property
    def subject(self) -> RecordedTask:
        """The candidate."""
        return next(iter(self.measured.values()))[0]

    @property
    def tagged(self) -> Sequence[Measured]:
        """The tagged tasks that the candidate is compared with."""
        return [(task, metrics) for task, metrics in self.every if task.id != self.subject.id]

    @property
    def usable(self) -> Sequence[Measured]:
        """Those of the tagged tasks that are a baseline."""
        return [(task, metrics) for task, metrics in self.tagged if baseline.usable(task)]


@dataclass(frozen=True)
class Decided:
    """The judgements of one way to read the gates, and what they were made of."""

    by_noise: Sequence[Judged]
    judged: Judgements
    violations: Sequence[str]
    another_model: Sequence[str]
    compared: Sequence[RecordedTask]
    sample: Sample
    reference: Reference


@dataclass(frozen=True)
class Decisions:
    """The judgements of all gates of `check`, slices among them, and what they were made of.

    `way` are the runs as the policy reads them, `own` the judgements of it, and `others` those of other ways to read
    them. `differences` are those from each task that was compared.
    """

    check: Check
    way: Known
    own: Decided
    others: Sequence[Decided]
    differences: Mapping[str, list[Difference]]


ReadAt = Callable[[Sequence[Gate], checkpoints.Readings], checkpoints.Readings]  # runs at the checkpoints of gates


def with_baseline(
    clearml: ClearML,
    github: GitHub | None,
    run: PipelineRun,
    check: Check,
    evidence: Evidence,
    *,
    before: Before | None = None,
    repeats: int = 0,
) -> Comparison:
    """Compare the candidate with the tagged tasks of its project, or of the policy's, and with the reference.

    A candidate that carries the tag itself is compared with the others that do. Without `github` the baseline's commit
    is not looked up. With a doubt about the candidate's values no gate holds. `repeats`: so many more trainings may be
    asked for.
    """
    check = replace(check, gates=checkpoint.resolved(check.gates, check.at))
    read, of_policy = _read(clearml, check, evidence, before or Before()), check.gates
    unusable = baseline.why_unusable([task for task, _ in read.tagged], tag=check.best_tag)
    unusable = unusable or _missing(clearml, run, check, evidence.candidate, read.every)
    read_at = partial(checkpoints.read, clearml)
    decisions = judge(check, read, read_at, unusable=unusable, repeats=repeats)
    check, way, decided, differences = decisions.check, decisions.way, decisions.own, decisions.differences
    judged = _with_names(clearml, read.subject.id, decided.judged)
    outcome, reason = gates.decide(judged)
    rows = [
        gates.as_row(gate, judgement, main=_value(gate, way.main), noise=found.document, note=found.note)
        for (gate, judgement), found in zip(judged, decided.by_noise, strict=True)
    ]
    shown = slice_rows.shown(rows)
    warnings = [
        *decided.violations,
        *_of_baselines(github, check, [task for task, _ in read.tagged], decided.compared),
        *(judgement.warning for _, judgement in judged if judgement.warning),
        *(difference for other in decisions.others for difference in _read_at_their_own(judged, other.judged)),
        *checkpoints.warnings(check.gates, way.reference.measured),
        *gate_noise.warnings(decided.by_noise, decided.sample),
        *decided.another_model,
    ]
    nearest = differences[decided.compared[0].id] if decided.compared else []
    result: CompareResult = {
        "outcome": outcome,
        "reason": reason,
        "baseline": recorded_task.as_document(decided.compared[0]) if decided.compared else None,
        "main_baseline": recorded_task.as_document(way.main[0]) if way.main else None,
        "gates": shown,
        "slices": slice_rows.summaries(rows, shown),
        "differences": comparability.as_documents(nearest),
        "differences_total": len(nearest),
        "runs": [_as_document(check, run, slices.of_rows(of_policy, shown)) for run in decided.sample.runs],
        "warnings": warnings,
    }
    return Comparison(result, tuple(decided.by_noise), tuple(rows), decided.sample, decided.reference)


def judge(check: Check, known: Known, read_at: ReadAt, *, unusable: str | None = None, repeats: int = 0) -> Decisions:
    """Judge the candidate by what is known: in a check of today, or once more in one of the past.

    The gates of `check` are resolved. `read_at` reads runs at the checkpoints of gates, if they have any; there is no
    other request. `unusable` is the reason why there is no baseline, if there should be one. So many `repeats` may be
    asked for. Raises TaskGoneError if a task that is compared has no inputs.
    """
    incomplete = _incomplete(check, known)
    every = slices.expanded(check.gates, _with_slices(known))
    check = replace(check, gates=(*every, *(pattern for pattern in incomplete if pattern not in every)))
    ways = _ways(check, known, read_at)
    by_tolerance = [_judge(check, way, unusable, incomplete) for way in ways]
    compared = [task.id for judged in by_tolerance for task in _compared(judged, known.tagged)]
    inputs = known.inputs
    task_fields.require(inputs, [known.subject.id, *compared])
    differences = {
        task: comparability.differences(check.alike, inputs[known.subject.id], inputs[task])
        for task in dict.fromkeys(compared)
    }
    own, *others = (
        _decided(check, way, judged, differences, repeats=repeats)
        for way, judged in zip(ways, by_tolerance, strict=True)
    )
    return Decisions(check, ways[0], own, others, differences)


def _with_slices(read: Known) -> list[Reported]:
    """The reports of the tasks whose slices are gates: the candidate, the baselines, and later runs of the reference.

    A slice that only runs older than the baseline have was dropped since.
    """
    since = max((task.started for task, _ in read.usable), default="")
    later = [values for task, values in read.reference.measured if task.started > since or not since]
    return [read.measured[read.subject.id][1], *(values for _, values in read.usable), *later]


def _incomplete(check: Check, read: Known) -> dict[Gate, str]:
    """The patterns that are inconclusive whatever their slices are, each with the reason.

    ClearML may have dropped slices of a task, or only this commit has any.
    """
    names = {"the task of this commit": read.subject, **{f"the baseline {task.id}": task for task, _ in read.usable}}
    whys = [f"{name} {why}" for name, task in names.items() if (why := slices.why_incomplete(task.series))]
    own, *others = (slices.of_patterns(values) for values in _with_slices(read))
    found = {}
    for gate in check.gates:
        if gate.is_pattern and whys:
            found[gate] = f"{gate.name}: {whys[0]}"
        elif gate.is_pattern and read.usable and gate.name in own and not any(gate.name in other for other in others):
            found[gate] = f"{gate.name}: the baseline reported no series that matches"
    return found


def _ways(check: Check, read: Known, read_at: ReadAt) -> list[Known]:
    """The runs as the policy reads them, and, if it names a checkpoint, with each metric at its own best or last."""
    if not any(gate.at for gate in check.gates):
        return [read]
    tagged = [*read.usable, *read.reference.measured, *([read.main] if read.main else [])]
    runs = {**read.measured, **{task.id: (task, values) for task, values in tagged}}
    found = read_at(check.gates, runs)
    at_checkpoint = replace(
        read,
        measured={task: found[task] for task in read.measured},
        every=[found.get(task.id, (task, values)) for task, values in read.every],
        reference=read.reference.replaced(found),
        main=found[read.main[0].id] if read.main else None,
    )
    return [at_checkpoint, read]


def _decided(
    check: Check,
    read: Known,
    by_tolerance: Judgements,
    differences: Mapping[str, list[Difference]],
    *,
    repeats: int,
) -> Decided:
    sample, reference = _sample(check, read, read.inputs), read.reference.reference(read.inputs)
    compared = _compared(by_tolerance, read.tagged)
    another_model = _of_another_model(compared, read.subject) if reference.in_force else []
    own = Reference() if another_model else reference
    by_noise = gate_noise.judge(check, by_tolerance, sample, own, repeats=repeats)
    judged, violations = _like_for_like(check, [(found.gate, found.judgement) for found in by_noise], differences)
    doubt = read.doubts[read.subject.id]
    judged = [(gate, gates.doubted(judgement, doubt)) for gate, judgement in judged]
    return Decided(by_noise, judged, violations, another_model, compared, sample, reference)


def _read_at_their_own(judged: Judgements, at_own: Judgements) -> list[str]:
    """A warning if the verdict is another one with each metric at its own best or last iteration."""
    (outcome, _), (other, reason) = gates.decide(judged), gates.decide(at_own)
    if outcome != other:
        would_be = f"the outcome would be {other.words}, not {outcome.words}: {reason}"
        return [f"With each metric at its own iteration, {would_be}."]
    pairs = zip(judged, at_own, strict=True)
    differ = [
        f"{gate.name} would be {own.outcome.words}, not {found.outcome.words}"
        for (gate, found), (_, own) in pairs
        if (found.outcome in HOLDS) != (own.outcome in HOLDS)
    ]
    return [f"With each metric at its own iteration, {formatting.listed(differ)}."] if differ else []


def _read(clearml: ClearML, check: Check, evidence: Evidence, before: Before) -> Known:
    """Read all that is compared. Raises TaskGoneError without the candidate."""
    candidate, others = evidence.candidate, evidence.others
    found = _related(clearml, check, evidence)
    task_fields.require(found.by_id, [candidate["id"]])
    measured = {id_: found.by_id[id_] for id_ in (candidate["id"], *_ids(others)) if id_ in found.by_id}
    tags = baselines.in_scope(check, found.by_tag, candidate["project_id"])
    of_reference = reference_runs.of_model(tags, check.best_tag, measured[candidate["id"]][0])
    doubts = {candidate["id"]: evidence.doubt, **{other["id"]: other["doubt"] for other in others}}
    main = found.by_id.get(evidence.main_task or "")
    if before == Before():
        return Known(measured, doubts, tags[check.best_tag], of_reference, found.inputs, main)
    earlier = list(task_records.with_metrics(clearml, before.best, check.gates).values()) or tags[check.best_tag]
    if before.reference:
        recorded = reference_runs.recorded(clearml, before.reference, check)
        of_reference = replace(recorded, calibrated=of_reference.calibrated)
    unread = {*(task.id for task, _ in earlier), *of_reference.ids} - {*found.inputs}
    inputs = {**found.inputs, **task_inputs.existing(clearml, sorted(unread))}
    return Known(measured, doubts, earlier, of_reference, inputs, main)


def _ids(runs: Sequence[OtherRun]) -> list[str]:
    return [run["id"] for run in runs]


def _related(clearml: ClearML, check: Check, evidence: Evidence) -> Related:
    """The runs of the candidate's commit and the base branch's own that still exist, and all tasks with the tags.

    Those of one project are read in one request.
    """
    candidate, tags = evidence.candidate, reference_runs.tags(check.best_tag)
    ids = [candidate["id"], *_ids(evidence.others), *filter(None, [evidence.main_task])]
    if check.project and candidate.get("project") == check.project:  # of which the candidate has the id
        found = task_records.related(
            clearml,
            ids,
            tags,
            project=candidate["project_id"],
            task_name=check.task_name,
            gates=check.gates,
        )
        if {*ids} <= {*found.by_id}:
            return found
    by_id, by_tag = task_records.existing(clearml, ids, check.gates), baselines.with_tags_of_reference(clearml, check)
    every = [*by_id, *(task.id for tagged in by_tag.values() for task, _ in tagged)]
    return Related(by_id, by_tag, task_inputs.existing(clearml, list(dict.fromkeys(every))))


def _sample(check: Check, read: Known, inputs: Mapping[str, Inputs]) -> Sample:
    """The sample of the candidate's commit; a run without inputs was deleted meanwhile."""
    found = [(task, values) for task, values in read.measured.values() if task.id in inputs]
    runs = [Run(task, inputs[task.id], values, read.doubts[task.id]) for task, values in found]
    return samples.of_commit(runs[0], runs, check.alike, seed=check.seed)


def _missing(
    clearml: ClearML, run: PipelineRun, check: Check, candidate: TaskDocument, tagged: Sequence[Measured]
) -> str | None:
    """Error if no task carries the tag although a promotion once gave it to one: that is no first model."""
    if any(baseline.usable(task) for task, _ in tagged):
        return None
    moves = promotion.moves_of_tag(
        promotion_ledger.moves(clearml, run.project),
        tag=check.best_tag,
        project_id=candidate["project_id"] if check.project else "",
        task_name=check.task_name,
    )
    done = next((move for move in moves if move.state == promotion.MOVED), None)
    return baseline.missing(tag=check.best_tag, last=done.to) if done else None


def _judge(check: Check, read: Known, unusable: str | None, incomplete: Mapping[Gate, str]) -> Judgements:
    """The judgements by the tolerance around the baseline."""
    subject, reported = read.measured[read.subject.id]
    judged = [
        (
            gate,
            gates.judge(
                gate, {subject.id: reported.get(gate)}, {task.id: metrics.get(gate) for task, metrics in read.usable}
            ),
        )
        for gate in check.gates
    ]
    judged = [
        (gate, replace(judgement, reason=incomplete[gate]) if gate in incomplete else judgement)
        for gate, judgement in judged
    ]
    if not read.every:
        judged = [(gate, _without_tagged(check, judgement)) for gate, judgement in judged]
    if unusable is None:
        return judged
    return [
        (gate, replace(judgement, outcome=Outcome.ERROR, reason=unusable, warning="")) for gate, judgement in judged
    ]


def _without_tagged(check: Check, judgement: Judgement) -> Judgement:
    """The judgement if no task carries the tag: the first model is green, and so would be a tag with a typo."""
    if judgement.outcome != Outcome.NO_BASELINE:
        return judgement
    named = f" named '{check.task_name}'" if check.task_name else ""
    return replace(judgement, reason=f"there is no baseline yet: no task{named} carries the tag '{check.best_tag}'")


def _compared(judged: Judgements, tagged: Sequence[Measured]) -> list[RecordedTask]:
    """The tasks that the gates were judged against, in the order of the gates."""
    ids = dict.fromkeys(judgement.baseline_id for _, judgement in judged if judgement.baseline_id)
    tasks = {task.id: task for task, _ in tagged}
    return [tasks[task] for task in ids]


def _of_another_model(compared: Sequence[RecordedTask], subject: RecordedTask) -> list[str]:
    """A warning if the baseline is a task of another name: a pull request must not choose its reference by its name."""
    return [
        f"The baseline is named '{task.name}', so the noise of '{subject.name}' decides nothing."
        for task in compared[:1]
        if task.name != subject.name
    ]


def _like_for_like(
    check: Check, judged: Judgements, differences: Mapping[str, list[Difference]]
) -> tuple[Judgements, list[str]]:
    """The judgements, void if the policy requires like for like, and warnings if it only asks for those."""
    violations = {task: text for task, found in differences.items() if (text := comparability.violation(found))}
    if check.alike.difference == "warn":
        return judged, [f"{formatting.capitalize_first(text)}." for text in dict.fromkeys(violations.values())]
    return [
        (gate, gates.without_comparison(judgement, violations[judgement.baseline_id]))
        if judgement.baseline_id in violations
        else (gate, judgement)
        for gate, judgement in judged
    ], []


def _with_names(clearml: ClearML, candidate: str, judged: Judgements) -> Judgements:
    """Reasons that name the nearest metric if one was not reported, or if no series matches a pattern."""
    unmeasured = {
        gate
        for gate, judgement in judged
        if (judgement.outcome, judgement.value) == _NOT_MEASURED and not gate.slice_of
    } - {pattern for pattern in (gate for gate, _ in judged) if pattern.is_pattern and _has_slices(pattern, judged)}
    names = task_metrics.series_names(clearml, candidate) if unmeasured else []
    known = {False: [f"{title}/{series}" for title, series in names], True: slices.nearest_known(names)}
    return [
        (gate, replace(judgement, reason=_with_nearest(judgement.reason, gate, known[gate.is_pattern])))
        if gate in unmeasured and gate.name not in known[gate.is_pattern]
        else (gate, judgement)
        for gate, judgement in judged
    ]


def _with_nearest(reason: str, gate: Gate, known: Sequence[str]) -> str:
    return reason + errors.nearest(gate.name, known, what="it reported")


def _has_slices(pattern: Gate, judged: Judgements) -> bool:
    return any(gate.slice_of == pattern.name for gate, _ in judged)


def _of_baselines(
    github: GitHub | None, check: Check, tagged: Sequence[RecordedTask], compared: Sequence[RecordedTask]
) -> list[str]:
    """Warnings about the tagged tasks."""
    on_base = None
    if github and compared and check.pull_request.base:
        on_base = commit_history.is_on_base_branch(github, check, compared[0].commit)
    return baseline.warnings(tagged, compared, tag=check.best_tag, baseline_on_base=on_base)


def _as_document(check: Check, run: Run, shown: Sequence[Gate]) -> CommitRun:
    return {
        "task": recorded_task.as_document(run.task),
        "seed": samples.seed_of(run, check.seed),
        "values": {gate.name: _value(gate, (run.task, run.reported)) for gate in shown},
        "repeat": False,
        "reason": "",
    }


def _value(gate: Gate, measured: Measured | None) -> float | None:
    summary = measured[1].get(gate) if measured else None
    return gates.value_of(gate, summary) if summary else None
