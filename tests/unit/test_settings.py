import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.job import settings
from clearml_ci.policy import policy_file

HEAD = "a" * 40


def event() -> dict[str, Any]:
    return {
        "action": "opened",
        "repository": {"full_name": "owner/name", "clone_url": "https://github.com/owner/name.git"},
        "pull_request": {
            "number": 7,
            "head": {"sha": HEAD, "repo": {"clone_url": "https://github.com/fork/name.git"}},
            "base": {"repo": {"clone_url": "https://github.com/owner/name.git"}},
        },
    }


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event()))
    return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path), "GITHUB_TOKEN": "ghs_secret"}


def write(environ: dict[str, str], changed: object) -> None:
    Path(environ["GITHUB_EVENT_PATH"]).write_text(json.dumps(changed))


def test_from_environment__pull_request_event__names_head_and_both_repositories(environ: dict[str, str]) -> None:
    found = settings.from_environment(environ)
    assert (found.check.commit, found.check.pull_request.number) == (HEAD, 7)
    assert found.check.pull_request.repositories == (
        "https://github.com/fork/name.git",
        "https://github.com/owner/name.git",
    )
    assert found.pipeline_project == "ClearML CI/owner/name"
    assert found.check.gates == ()


def test_from_environment__predecessors_names__are_understood(environ: dict[str, str]) -> None:
    environ |= {
        "CLEARML_PROJECT": "my_project",
        "CLEARML_TASK_NAME": "my_task",
        "CLEARML_SCALAR_TITLE": "Performance Metrics",
        "CLEARML_SCALAR_SERIES": "mAP",
        "CLEARML_SCALAR_MIN_MAX": "MAX",
        "CLEARML_BEST_TAGNAME": "BESTEST MODEL",
        "CLEARML_SCALAR_THRESHOLD": "3",
        "COMMIT_ID": HEAD.upper(),
    }
    check = settings.from_environment(environ).check
    (gate,) = check.gates
    assert (check.project, check.task_name, check.best_tag) == ("my_project", "my_task", "BESTEST MODEL")
    assert (gate.name, gate.goal, gate.tolerance) == (
        "Performance Metrics/mAP",
        "maximize",
        3.0,
    )


def test_from_environment__deleted_fork__still_knows_the_base(environ: dict[str, str]) -> None:
    changed = event()
    changed["pull_request"]["head"]["repo"] = None
    write(environ, changed)
    found = settings.from_environment(environ)
    assert found.check.pull_request.repositories == ("https://github.com/owner/name.git",)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"GITHUB_EVENT_PATH": ""}, "GITHUB_EVENT_PATH is not set"),
        ({"GITHUB_EVENT_PATH": "/nowhere/event.json"}, "/nowhere/event.json cannot be read"),
        ({"GITHUB_EVENT_NAME": "push"}, "the event 'push' is no pull request"),
        ({"COMMIT_ID": "b" * 40}, f"but the pull request's head is {HEAD}"),
        ({"COMMIT_ID": "b" * 7}, "COMMIT_ID is 'bbbbbbb'"),
        ({"CLEARML_SCALAR_TITLE": "accuracy"}, "CLEARML_SCALAR_TITLE is 'accuracy' and CLEARML_SCALAR_SERIES is ''"),
        ({"CLEARML_CI_DEADLINE": "soon"}, "CLEARML_CI_DEADLINE is 'soon'"),
        ({"CLEARML_CI_DEADLINE": "0"}, "CLEARML_CI_DEADLINE is '0'"),
        (
            {"CLEARML_CI_STEPS_QUEUE": "one", "CLEARML_CI_CODE_QUEUE": "one"},
            "the queue 'one' is the trusted steps' as well",
        ),
    ],
)
def test_from_environment__wrong_value__is_named(environ: dict[str, str], edit: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings.from_environment({**environ, **edit})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "text"), [("CLEARML_SCALAR_THRESHOLD", "three"), ("CLEARML_SCALAR_MIN_MAX", "UP")]
)
def test_from_environment__bad_metric_setting__is_refused(environ: dict[str, str], variable: str, text: str) -> None:
    named = {"CLEARML_SCALAR_TITLE": "a", "CLEARML_SCALAR_SERIES": "b"}
    with pytest.raises(UsageError, match=f"{variable} is '{text}'"):
        settings.from_environment({**environ, **named, variable: text})


@pytest.mark.parametrize("sha", ["", "abc", None, 7])
def test_from_environment__event_without_a_commit__is_refused(environ: dict[str, str], sha: object) -> None:
    changed = event()
    changed["pull_request"]["head"]["sha"] = sha
    write(environ, changed)
    with pytest.raises(UsageError, match=r"pull_request\.head\.sha of the event"):
        settings.from_environment(environ)


@pytest.mark.parametrize("content", [{}, [], {"pull_request": None}, {"pull_request": {}}])
def test_from_environment__malformed_event__is_refused(environ: dict[str, str], content: object) -> None:
    write(environ, content)
    with pytest.raises(UsageError):
        settings.from_environment(environ)


def test_settings__printed__do_not_show_the_token(environ: dict[str, str]) -> None:
    found = settings.from_environment(environ)
    assert found.github_token == "ghs_secret"  # noqa: S105  invented for this test
    assert "ghs_secret" not in repr(found)
    assert "ghs_secret" not in json.dumps(found.check.to_arguments())


def test_from_environment__two_tokens__the_personal_one_is_used(environ: dict[str, str]) -> None:
    assert settings.from_environment({**environ, "GH_TOKEN": "ghp_personal"}).github_token == "ghp_personal"  # noqa: S105


def test_from_environment__candidate_none__is_for_a_merge_what_judges_no_model(environ: dict[str, str]) -> None:
    environ["CLEARML_CI_CANDIDATE"] = "none"
    with pytest.raises(UsageError, match="nothing would be checked"):
        settings.from_environment(environ)
    merged = event()
    merged["pull_request"]["merge_commit_sha"] = "d" * 40
    assert settings.from_environment(environ, event=merged, promotes=True).check.candidate == "none"


def test_from_environment__label_of_the_policy__is_the_one_that_approves(environ: dict[str, str]) -> None:
    text = "version: 1\nremote_run: {script: train.py, approval_label: safe}\n"
    found = settings.from_environment(environ, read_policy=lambda *_: policy_file.load(text, source="policy"))
    assert found.remote_run is not None
    assert (found.remote_run.until, found.remote_run.script) == ("first-iteration", "train.py")
    assert found.remote_run.approval_label == "safe"


def test_for_rollback__edited_record__sends_the_token_only_to_the_jobs_own_github(environ: dict[str, str]) -> None:
    """Any user of the ClearML server can edit what the run of the promotion recorded."""
    check = settings.from_environment(environ).check
    edited = replace(check.pull_request, github_api="https://elsewhere.example", repository="other/name")
    job = environ | {"GITHUB_REPOSITORY": "owner/name", "GITHUB_API_URL": "https://github.example/api/v3"}
    rollback = settings.for_rollback(job, replace(check, pull_request=edited), undoes="the run")
    pull = rollback.check.pull_request
    assert rollback.arguments["_undoes"] == "the run"
    assert (pull.github_api, pull.repository, pull.number) == ("https://github.example/api/v3", "owner/name", 7)


def test_pipeline_project__too_short_for_clearml__is_refused() -> None:
    with pytest.raises(UsageError, match="CLEARML_CI_PIPELINE_PROJECT is 'CI': ClearML refuses names"):
        settings.pipeline_project({"CLEARML_CI_PIPELINE_PROJECT": "CI"})


def governed(environ: dict[str, str], text: str, *, promotes: bool = False) -> settings.Settings:
    """The settings of a job whose base branch has this policy."""
    found = policy_file.load(f"version: 1\n{text}", source=".github/clearml-ci.yml of main")
    return settings.from_environment(environ, read_policy=lambda *_: found, promotes=promotes)


def test_from_environment__name__is_the_policys_or_else_the_jobs(environ: dict[str, str]) -> None:
    environ["CLEARML_CI_NAME"] = " digits "
    assert settings.from_environment(environ).check.check_name == "ClearML CI: digits"
    assert governed(environ, "name: letters").check.check_name == "ClearML CI: letters"
    assert governed(environ, "project: Digits").check.check_name == "ClearML CI"


def test_from_environment__policy_that_the_job_names__is_the_one_that_is_read(environ: dict[str, str]) -> None:
    paths: list[str] = []
    for path in ("", ".github/clearml-ci/digits.yml"):
        given = {**environ, "CLEARML_CI_POLICY": path}
        settings.from_environment(given, read_policy=lambda _, __, file: paths.append(file))
    assert paths == ["", ".github/clearml-ci/digits.yml"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", ".github/../../x", "a\nb"])
def test_from_environment__policy_outside_of_the_repository__is_refused(environ: dict[str, str], path: str) -> None:
    with pytest.raises(UsageError, match=r"CLEARML_CI_POLICY is .*: expected a path inside the repository"):
        settings.from_environment({**environ, "CLEARML_CI_POLICY": path})


@pytest.mark.parametrize("name", ["x" * 61, "a\nb", "a\u202eb", "\udcff"])
def test_from_environment__name_that_cannot_be_shown__is_refused(environ: dict[str, str], name: str) -> None:
    with pytest.raises(UsageError, match=r"CLEARML_CI_NAME is .*: expected a name of at most 60 visible characters"):
        settings.from_environment({**environ, "CLEARML_CI_NAME": name})


def test_from_environment__name_that_ends_like_a_branch__is_refused(environ: dict[str, str]) -> None:
    """The status of the check `fraud` of the branch `dev` is named `ClearML CI: fraud (dev)`."""
    with pytest.raises(UsageError, match=r"CLEARML_CI_NAME is 'fraud \(dev\)': .* that does not end with a branch"):
        settings.from_environment({**environ, "CLEARML_CI_NAME": "fraud (dev)"})
    with pytest.raises(UsageError, match=r"2: name: found 'fraud \(dev\)'; allowed: a name "):
        governed(environ, "name: fraud (dev)")


@pytest.fixture
def held() -> Iterator[str]:
    redaction.hold(["two-words-9"])
    yield "two-words-9"
    redaction.forget()


def test_from_environment__name_that_holds_a_secret__is_refused_and_not_shown(
    environ: dict[str, str], held: str
) -> None:
    """Statuses and check runs have the name as it is."""
    for secret in (held, "ghp_" + "a1" * 18):
        with pytest.raises(UsageError, match=r"^CLEARML_CI_NAME holds a token") as refused:
            settings.from_environment({**environ, "CLEARML_CI_NAME": f"model {secret}"})
        assert secret not in str(refused.value)
        with pytest.raises(
            UsageError, match=r"^\.github/clearml-ci\.yml of main: name holds a token or a pass"
        ) as refused:
            governed(environ, f"name: model {secret}")
        assert secret not in str(refused.value)


METRIC = {"CLEARML_SCALAR_TITLE": "accuracy", "CLEARML_SCALAR_SERIES": "validation"}
SAME = {**METRIC, "CLEARML_SCALAR_THRESHOLD": "3", "CLEARML_PROJECT": "Digits", "CLEARML_TASK_NAME": "mine"}
POLICY = """
project: Digits
gates: [{metric: accuracy/validation, max_regression: 3%}]
comment: "off"
remote_run: {script: train.py, args: [epochs=1, seed=2], queue_limit: 60}
"""


@pytest.mark.parametrize(
    ("inputs", "ignored"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({**SAME, "CLEARML_TASK_NAME": ""}, "", id="the-same"),
        pytest.param({"CLEARML_CI_COMMENT": "always", "CLEARML_CI_QUEUE_LIMIT": "600"}, "", id="the-defaults"),
        pytest.param({"CLEARML_CI_RUN_ARGS": "epochs=1 seed=2"}, "", id="the-same-in-another-form"),
        pytest.param({"CLEARML_CI_CODE_QUEUE": "gpu"}, "", id="a-queue-that-the-policy-leaves-open"),
        pytest.param({**METRIC, "CLEARML_SCALAR_THRESHOLD": "50"}, "clearml_scalar_threshold", id="threshold"),
        pytest.param({"CLEARML_PROJECT": "Other"}, "clearml_project", id="project"),
        pytest.param({"CLEARML_CI_COMMENT": "on-failure", "CLEARML_CI_NAME": "a"}, "name, comment", id="words"),
        pytest.param({"CLEARML_CI_CANDIDATE": "find-or-train"}, "candidate", id="candidate"),
        pytest.param({"EXECUTION_ENTRYPOINT": "tiny.py"}, "execution_entrypoint", id="script-under-its-old-name"),
        pytest.param({"CLEARML_CI_QUEUE_LIMIT": "90"}, "queue_limit", id="limit"),
    ],
)
def test_notes__input_that_the_policy_overrides__is_named(
    environ: dict[str, str], inputs: dict[str, str], ignored: str
) -> None:
    line = "the policy .github/clearml-ci.yml of main decides, and these inputs are ignored: "
    names = [set(note.removeprefix(line).split(", ")) for note in governed({**environ, **inputs}, POLICY).notes]
    assert names == ([set(ignored.split(", "))] if ignored else [])


@pytest.mark.parametrize(
    ("event_name", "inputs", "noted"),
    [
        pytest.param("pull_request", {"CLEARML_TASK_NAME": "mine"}, ["task_name"], id="task-name"),
        pytest.param("pull_request", {"CLEARML_PROJECT": "Digits"}, [], id="that-the-policy-has"),
        pytest.param("pull_request", {}, [], id="none"),
        pytest.param("pull_request_target", {"CLEARML_TASK_NAME": "mine"}, [], id="workflow-of-the-base"),
    ],
)
def test_notes__place_of_the_baseline_that_the_policy_lacks__is_named_if_the_pull_request_can_change_it(
    environ: dict[str, str], event_name: str, inputs: dict[str, str], noted: list[str]
) -> None:
    notes = governed({**environ, **inputs, "GITHUB_EVENT_NAME": event_name}, POLICY).notes
    line = "the policy .github/clearml-ci.yml of main has no `{0}`: a pull request can change the input clearml_{0}"
    assert [note.partition(",")[0] for note in notes] == [line.format(key) for key in noted]


def test_notes__no_policy__are_none(environ: dict[str, str]) -> None:
    assert settings.from_environment({**environ, **SAME, "CLEARML_CI_NAME": "digits"}).notes == ()


def test_notes__merge__name_only_what_a_promotion_reads(environ: dict[str, str]) -> None:
    merged = event()
    merged["pull_request"] |= {"merged": True, "merge_commit_sha": "b" * 40}
    write(environ, {**merged, "action": "closed"})
    environ |= {"CLEARML_CI_QUEUE_LIMIT": "90", "CLEARML_BEST_TAGNAME": "Other"}
    (note,) = governed(environ, POLICY, promotes=True).notes
    assert note.endswith(": clearml_best_tagname")


TRAINS = "version: 1\ncandidate: train\nremote_run: {script: train.py, until: completion, %s}\n"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("project: Other", "remote_run.project of the policy is 'Other', but CLEARML_PROJECT is 'Digits'"),
        ("name: other", "remote_run.name of the policy is 'other', but CLEARML_TASK_NAME is 'train digits'"),
    ],
)
def test_from_environment__policy_that_trains_out_of_reach__names_both_keys(
    environ: dict[str, str], key: str, message: str
) -> None:
    environ |= {"CLEARML_PROJECT": "Digits", "CLEARML_TASK_NAME": "train digits"}
    with pytest.raises(UsageError, match=message):
        settings.from_environment(environ, read_policy=lambda *_: policy_file.load(TRAINS % key, source="policy"))
    within = TRAINS % "project: Digits"
    settings.from_environment(environ, read_policy=lambda *_: policy_file.load(within, source="policy"))


def test_from_environment__inputs_that_train_out_of_reach__names_both_variables(environ: dict[str, str]) -> None:
    environ |= {"CLEARML_CI_CANDIDATE": "train", "CLEARML_PROJECT": "Digits", "CLEARML_CI_RUN_PROJECT": "Other"}
    with pytest.raises(UsageError, match="CLEARML_CI_RUN_PROJECT is 'Other', but CLEARML_PROJECT is 'Digits'"):
        settings.from_environment(environ)
    settings.from_environment({**environ, "CLEARML_PROJECT": ""})


def test_from_environment__repeats_of_a_candidate_that_is_found__are_refused(environ: dict[str, str]) -> None:
    environ["CLEARML_CI_REPEATS"] = "4"
    with pytest.raises(UsageError, match="CLEARML_CI_REPEATS is 4, but the candidate is 'find'"):
        settings.from_environment(environ)


def test_from_environment__repeats__lengthen_the_deadline(environ: dict[str, str]) -> None:
    environ |= {"CLEARML_CI_CANDIDATE": "train", "CLEARML_PROJECT": "Digits", "CLEARML_TASK_NAME": "train digits"}
    once = settings.from_environment(environ).deadline - 300
    assert settings.from_environment({**environ, "CLEARML_CI_REPEATS": "4"}).deadline == 5 * once + 300


@pytest.mark.parametrize(("given", "path"), [("", ""), ("./.github//digits.yml", ".github/digits.yml")])
def test_policy_file__path_of_a_job__is_as_github_names_it(given: str, path: str) -> None:
    assert settings.policy_file({"CLEARML_CI_POLICY": given}) == path
