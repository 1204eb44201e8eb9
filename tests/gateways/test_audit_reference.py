"""The audit of the reference on a ClearML server: runs that do not count any more, and tags that a user changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from clearml_ci.clearml_api import best_tag, pipeline_runs, project_lookup
from clearml_ci.clearml_api.task_records import REFERENCE_STAMP
from clearml_ci.parameters.audit import Audit, Home
from steps import audit_baselines
from tests.gateways import services
from tests.gateways.test_noise import SPREAD
from tests.gateways.test_promotion import CHECK, GATE, TAG, World, no_credentials, world
from tests.gateways.test_reference_change import EARLIER, GAIN, MAIN, REFERENCE, of_main, trained

__all__ = ["no_credentials", "world"]  # fixtures

CODE = "https://github.com/o/n.git"
HOME = Home("o/n", CODE, "http://none", "main", (CODE,))


@dataclass(frozen=True)
class Audited:
    """A reference of eight runs that a promotion began, and an audit."""

    world: World
    runs: list[str]
    merged: str

    def audit(self) -> tuple[list[Any], int]:
        """The findings about the reference, and the number of requests beyond those for all projects."""
        audit = Audit(HOME, "", (self.world.project.name,), "train", TAG, (GATE,), ())
        items = {n: {"section": "Args", "name": n, "value": v} for n, v in audit.to_arguments().items()}
        made = self.world.client.call(
            "tasks.create",
            name="audit",
            type="controller",
            project=self.world.pipelines["promote"],
            hyperparams={"Args": items},
        )["id"]
        run, before = pipeline_runs.read(self.world.clearml, made), self.world.clearml.requests
        project_lookup.all_projects(self.world.clearml)
        for_all, before = self.world.clearml.requests - before, self.world.clearml.requests
        result = audit_baselines.audit_baselines(services.of_agent(self.world.clearml), run)
        return list(result["findings"]), self.world.clearml.requests - before - for_all

    def call(self, endpoint: str, **request: Any) -> None:
        self.world.client.call(endpoint, **request)


@pytest.fixture
def audited(world: World) -> Audited:
    runs = of_main(world, MAIN, values=SPREAD[:7])
    merged = trained(world, 0.951)
    world.promote()
    return Audited(world, runs, merged)


def age(world: World, task: str) -> None:
    """As if the merge had been an hour ago."""
    stamp = best_tag.stamps(world.clearml, [task], REFERENCE_STAMP)[task]
    assert stamp
    best_tag.stamp(world.clearml, task, replace(stamp, at=stamp.at - 3600), REFERENCE_STAMP)


def archive(audited: Audited, task: str) -> None:
    audited.call("tasks.archive", tasks=[task])


def delete(audited: Audited, task: str) -> None:
    audited.call("tasks.delete", task=task, force=True)


def untag(audited: Audited, task: str) -> None:
    audited.call("tasks.update_tags", ids=[task], remove_tags=[REFERENCE])


def move_to_earlier(audited: Audited, task: str) -> None:
    audited.call("tasks.update_tags", ids=[task], remove_tags=[REFERENCE], add_tags=[EARLIER])


def reset(audited: Audited, task: str) -> None:
    audited.call("tasks.reset", task=task, force=True)


def run_anew(audited: Audited, task: str) -> None:
    reset(audited, task)
    for what in ("started", "completed"):
        audited.call(f"tasks.{what}", task=task)


def continue_(audited: Audited, task: str) -> None:
    age(audited.world, task)
    for what in ("started", "completed"):
        audited.call(f"tasks.{what}", task=task, force=True)


def fail(audited: Audited, task: str) -> None:
    audited.call("tasks.failed", task=task, force=True)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (archive, "archived_reference", "but is archived: it does not count"),
        (untag, "lost_reference", "a user removed the tag"),
        (move_to_earlier, "lost_reference", "a user removed the tag"),
        (reset, "unusable_reference", "has not ended yet (status 'created')"),
        (fail, "unusable_reference", "did not succeed (status 'failed')"),
        (run_anew, "changed_reference", "was reset or continued"),
        (continue_, "changed_reference", "was reset or continued"),
    ],
)
def test_audit__run_of_the_reference_that_a_user_changed__is_a_finding_with_its_name(
    audited: Audited, change: Callable[[Audited, str], None], kind: str, words: str
) -> None:
    assert audited.audit()[0] == []
    change(audited, audited.runs[3])
    (found,) = audited.audit()[0]
    assert (found["kind"], found["severity"]) == (kind, "finding")
    assert audited.runs[3] in found["where"]["url"]
    assert words in found["said"]
    assert found["do"]
    if kind != "lost_reference":  # a user follows the advice
        assert "remove the tag 'Best: reference' from it" in found["do"]
        untag(audited, audited.runs[3])
        assert audited.audit()[0] == []


def test_audit__run_of_the_reference_that_was_deleted__is_a_finding_until_a_merge_takes_its_place(
    audited: Audited,
) -> None:
    delete(audited, audited.runs[3])
    ((found,), requests) = audited.audit()
    assert (found["kind"], found["severity"]) == ("deleted_reference", "finding")
    assert found["said"] == f"deleted from the reference of 'train': {audited.runs[3]}"
    assert requests == 6
    trained(audited.world, 0.95, commit="e" * 40, seed=7)
    audited.world.promote(replace(CHECK, commit="e" * 40))
    assert audited.audit()[0] == []


def test_audit__reference_in_order__costs_no_request(audited: Audited) -> None:
    """One for the ledgers' projects, one for moves and changes, one for all tags, two for accepted losses."""
    assert audited.audit() == ([], 5)


def test_audit__run_that_a_user_tagged__is_a_note(audited: Audited) -> None:
    added = trained(audited.world, 0.95, commit="e" * 40, tags=(REFERENCE,))
    (found,) = audited.audit()[0]
    assert (found["kind"], found["severity"]) == ("tagged_by_hand", "note")
    assert added in found["where"]["url"]


def test_audit__reference_without_a_recorded_change__is_that_of_its_tags(world: World) -> None:
    runs = of_main(world, REFERENCE)
    audited = Audited(world, runs, "")
    assert audited.audit()[0] == []
    archive(audited, runs[0])
    assert [found["kind"] for found in audited.audit()[0]] == ["archived_reference"]


def test_audit__reference_that_began_anew_and_was_rolled_back__is_in_order(audited: Audited) -> None:
    trained(audited.world, 0.999, commit="e" * 40, seed=7)
    audited.world.promote(replace(CHECK, commit="e" * 40))
    assert len(audited.world.tagged(GAIN)) == 1
    assert audited.audit()[0] == []
    archive(audited, audited.runs[3])  # in force until the new one has four runs
    assert [found["kind"] for found in audited.audit()[0]] == ["archived_reference"]
    audited.call("tasks.edit", task=audited.runs[3], system_tags=[], force=True)
    audited.world.rollback()
    assert audited.audit()[0] == []


def test_compare__run_of_the_reference_that_was_continued__does_not_count(audited: Audited) -> None:
    trained(audited.world, 0.95, commit="e" * 40)
    before = audited.world.promote(replace(CHECK, commit="e" * 40))
    continue_(audited, audited.runs[3])
    trained(audited.world, 0.95, commit="f" * 40)
    after = audited.world.promote(replace(CHECK, commit="f" * 40))
    counted = [result["gates"][0]["noise"]["reference_runs"] for result in (before, after)]
    assert counted == [8, 8]  # one more by the merge, one less
