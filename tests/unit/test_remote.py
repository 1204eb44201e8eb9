"""The parameters of a remote run: each wrong value is reported under the name that the user gave it."""

import pytest

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.parameters import catalogue, job_environment, remote_run, run_arguments, texts
from clearml_ci.parameters.remote_run import RemoteRun


def launch(**arguments: str) -> RemoteRun:
    found = remote_run.from_arguments({"run_until": "first-iteration", "run_script": "train.py", **arguments})
    assert found is not None
    return found


@pytest.mark.parametrize("until", ["", "off", "OFF"])
def test_from_arguments__no_run__is_none(until: str) -> None:
    assert remote_run.from_arguments({"run_until": until, "candidate": "find"}) is None


def test_from_arguments__only_a_script__has_the_documented_defaults() -> None:
    found = launch()
    assert (found.queue, found.project, found.name) == ("ci-code", "Github CICD", "cicd_test_task")
    assert (found.queue_limit, found.setup_limit, found.progress_limit) == (600, 600, 600)
    assert (found.folder, found.approval_label, found.inject_task_init) == (".", "run-remote", False)
    assert launch(run_until="completion").progress_limit == 18_000


@pytest.mark.parametrize(
    ("arguments", "purpose"),
    [
        ({"run_until": "first-iteration"}, "probe"),
        ({"run_until": "completion"}, "tests"),
        ({"run_until": "completion", "candidate": "train"}, "training"),
        ({"run_until": "", "candidate": "find-or-train"}, "training"),
    ],
)
def test_purpose__of_each_kind__is_named(arguments: dict[str, str], purpose: str) -> None:
    assert launch(**arguments).purpose == purpose


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("epochs=1 seed=3", (("epochs", "1"), ("seed", "3"))),
        ("--epochs=1", (("epochs", "1"),)),
        ("name=a b\nseed=3\n", (("name", "a b"), ("seed", "3"))),
        ("url=http://x/?a=b", (("url", "http://x/?a=b"),)),
        ("", ()),
    ],
    ids=["two", "dashes", "one-a-line", "sign-in-value", "none"],
)
def test_args__as_users_write_them__are_pairs(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert launch(run_args=text).args == pairs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_args": "epochs"}, "run_args has 'epochs': expected name=value"),
        ({"run_args": "=1"}, "run_args has '=1'"),
        ({"run_queue_limit": "soon"}, "run_queue_limit is 'soon': expected a number of seconds, such as 600"),
        ({"run_setup_limit": "-1"}, "run_setup_limit is '-1'"),
        ({"run_progress_limit": "nan"}, "run_progress_limit is 'nan'"),
        ({"run_progress_limit": "inf"}, "run_progress_limit is 'inf'"),
        (
            {"run_script": "/etc/passwd"},
            "run_script is '/etc/passwd': expected a path relative to the repository's root",
        ),
        ({"run_folder": "../elsewhere"}, "run_folder is '../elsewhere'"),
        ({"run_requirements": "a/../../b.txt"}, "run_requirements is 'a/../../b.txt'"),
        ({"run_module": "pytest"}, "run_script is 'train.py' and run_module is 'pytest': set one of them"),
        (
            {"run_until": "first-iteratoin"},
            "run_until is 'first-iteratoin': expected first-iteration or completion or off; "
            "did you mean 'first-iteration'?",
        ),
        (
            {"candidate": "trian"},
            "candidate is 'trian': expected find or train or find-or-train or none; did you mean 'train'?",
        ),
        ({"candidate": "train"}, "run_until is 'first-iteration', but a candidate that is trained"),
        ({"run_project": "CI/digits"}, "run_project is 'CI': ClearML refuses names of fewer than 3 characters"),
        ({"run_name": "ab"}, "run_name is 'ab': ClearML refuses names of fewer than 3 characters"),
        ({"run_inject_task_init": "maybe"}, "run_inject_task_init is 'maybe': expected true or false"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_from_arguments__wrong_value__is_named(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        launch(**arguments)
    assert message in str(raised.value)


def test_from_arguments__wrong_value_of_a_workflow__is_named_as_the_workflow_does() -> None:
    environ = {"QUEUE_NAME": "gpu", "EXECUTION_ARGS": "epochs"}
    given = job_environment.read(environ)
    with pytest.raises(UsageError, match="EXECUTION_ARGS has 'epochs'"):
        remote_run.from_arguments(remote_run.arguments_of(given), names=given.names)


@pytest.mark.parametrize(
    ("environ", "until", "candidate"),
    [
        ({"QUEUE_NAME": "gpu"}, "first-iteration", "none"),
        ({"EXECUTION_ENTRYPOINT": "task.py", "CLEARML_SCALAR_TITLE": "accuracy"}, "first-iteration", "find"),
        ({"EXECUTION_ENTRYPOINT": "task.py", "CLEARML_CI_CANDIDATE": "train"}, "completion", "train"),
        ({"EXECUTION_ENTRYPOINT": "task.py", "CLEARML_CI_REMOTE_RUN": "off"}, "off", ""),
        ({"CLEARML_CI_CODE_QUEUE": "gpu"}, "", ""),
    ],
    ids=["predecessors-probe", "probe-and-gate", "training", "switched-off", "a-queue-alone"],
)
def test_arguments_of__workflows__mean_what_they_meant_in_earlier_actions(
    environ: dict[str, str], until: str, candidate: str
) -> None:
    found = remote_run.arguments_of(job_environment.read(environ))
    assert (found["run_until"], found["candidate"]) == (until, candidate)


@pytest.mark.parametrize(
    ("steps", "controllers", "whose"), [("one", "two", "trusted steps"), ("two", "one", "controllers")]
)
def test_refuse_shared_queue__code_on_a_trusted_one__needs_the_words(steps: str, controllers: str, whose: str) -> None:
    given = {"_steps_queue": steps}
    with pytest.raises(UsageError, match=f"the queue 'one' is the {whose}' as well: pull-request code could read "):
        remote_run.refuse_shared_queue(given, code="one", controllers=controllers)
    remote_run.refuse_shared_queue({**given, "_shared_queue": remote_run.SHARED}, code="one", controllers=controllers)
    remote_run.refuse_shared_queue(given, code="three", controllers=controllers)


@pytest.mark.parametrize(
    ("given", "candidate", "until"),
    [
        ({"script": "train.py"}, "find", "first-iteration"),
        ({"script": "train.py"}, "train", "completion"),
        ({"script": "train.py", "until": "completion"}, "find", "completion"),
        ({"until": "off"}, "find", "off"),
    ],
    ids=["default", "trained", "completion", "off"],
)
def test_arguments_of_policy__until__is_what_its_summary_says(
    given: dict[str, object], candidate: str, until: str
) -> None:
    assert remote_run.arguments_of_policy(given, candidate=candidate)["run_until"] == until


def test_arguments_of_policy__what_it_runs__is_not_mixed_with_the_workflows() -> None:
    given = remote_run.arguments_of_policy({"module": "pytest"}, candidate="find")
    assert (given["run_script"], given["run_module"]) == ("", "pytest")
    assert "run_queue" not in given
    assert remote_run.arguments_of_policy(None, candidate="find") == {"candidate": "find"}


def test_until__off_for_a_candidate_that_is_trained__is_refused() -> None:
    with pytest.raises(UsageError, match="is 'off', but the candidate is to be trained"):
        remote_run.from_arguments({"run_until": "off", "candidate": "find-or-train"})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"run_project": "Elsewhere"}, "run_project is 'Elsewhere', but project is 'Digits'"),
        ({"run_name": "another"}, "run_name is 'another', but task_name is 'train digits'"),
    ],
)
def test_refuse_out_of_reach__trained_elsewhere_than_the_baseline__names_both(
    edit: dict[str, str], message: str
) -> None:
    at_home = {"run_project": "Digits", "run_name": "train digits", "run_until": "completion", "candidate": "train"}
    remote_run.refuse_out_of_reach(launch(**at_home), project="Digits", task_name="train digits")
    remote_run.refuse_out_of_reach(launch(**{**at_home, **edit}), project="", task_name="")
    with pytest.raises(UsageError, match=message):
        remote_run.refuse_out_of_reach(launch(**{**at_home, **edit}), project="Digits", task_name="train digits")
    beside = launch(**{**at_home, **edit, "candidate": "find"})
    remote_run.refuse_out_of_reach(beside, project="Digits", task_name="train digits")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run_args", "epochs=1 hub=ghp_0123456789abcdefABCDEF"),
        ("run_args", "epochs=1 password=one-that-the-job-holds"),
        ("run_docker_args", "--env HF_TOKEN=hf_0123456789abcdefABCDEF"),
        ("run_packages", "git+https://user:secret@github.com/o/n@v1"),
        ("run_packages", "torch git+https://Zq81mPlw02xx@git.corp.example/x.git"),
        ("run_docker_args", "--env WANDB_API_KEY=8f2c0d7e5b6a49d1b3c2e1f0a9d8c7b6a5f4e3d2"),
        ("run_docker_args", "--ipc=host -e DB_PASSWORD=Tr0ub4dor"),
        ("run_docker_args", "--env=DB_PASSWORD='Tr0ub4dor'"),
        ("run_docker_args", "-e HF_TOKEN=Zq81mPlw02xx"),
        ("run_args", "epochs=1 password=12345678"),
        ("run_args", "seed=1\napi_key=8f2c0d7e5b6a49d1"),
        ("run_args", "hub.access_token=Zq81mPlw02xx"),
        ("run_args", "db_pass=Zq81mPlw02xx"),
        ("run_args", "url=https://h.example/x?api_key=Zq81mPlw02xx"),
        ("run_module", "pytest --token Zq81mPlw02xx"),
        ("run_module", "app.train --db-password hunter-2"),
    ],
)
def test_from_arguments__secret_in_a_parameter__is_refused_without_its_value(name: str, text: str) -> None:
    redaction.hold(["one-that-the-job-holds"])
    with pytest.raises(UsageError, match=f"^{name} holds a token or a password, and ClearML shows") as raised:
        remote_run.from_arguments({"run_until": "completion", name: text})
    redaction.forget()
    assert text.split("=")[-1] not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run_docker_args", "num_tokens=512 tokenizer=bert"),
        ("run_docker_args", "url=https://host.example:8080/a@b"),
        ("run_docker_args", "--env HF_TOKEN --ipc=host"),
        ("run_docker_args", "--secret hf_token -v /srv/secrets:/run/secrets -e DB_PASSWORD_FILE=/run/secrets/db"),
        ("run_docker_args", "-e HF_TOKEN=$HF_TOKEN -e WANDB_API_KEY=${WANDB_API_KEY}"),
        ("run_args", "max_tokens=4096 pad_token=[PAD] eos_token=</s> stop_token=END token_dim=768 tokens=1e9"),
        ("run_args", "pass=2 n_pass=3 file_pat=*.csv sort_key=name primary_key=id use_auth_token=true"),
        ("run_args", "token_type=sub-word2 secret_name=team/db password_file=/run/secrets/db tokenized=v2/train.json"),
        ("run_args", "data=abfss://box@account.dfs.core.windows.net/x credentials=gs://bucket/cred.json"),
        ("run_module", "pytest -m gpu --token-limit 512 --no-secret tests/unit --tokenizer bert-base-v2"),
        ("run_packages", "git+https://github.com/o/n.git@v1.2 git+ssh://git@github.com/o/n.git"),
        ("run_packages", "git+https://${PAT}@github.com/o/n.git git+https://org@dev.azure.com/org/x/_git/x"),
    ],
)
def test_from_arguments__parameter_that_only_names_a_secret__is_taken(name: str, text: str) -> None:
    assert remote_run.from_arguments({"run_until": "completion", name: text}) is not None


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("", ()),
        ("pytest numpy==2.2", ("pytest", "numpy==2.2")),
        ("pytest, numpy==2.2,scipy", ("pytest", "numpy==2.2", "scipy")),
        ("torch>=2,<3", ("torch>=2,<3",)),
        ("torch >= 2, < 3, numpy", ("torch >= 2, < 3", "numpy")),
        ("torch>=2,<3 numpy!=1.0,<2\nscipy", ("torch>=2,<3", "numpy!=1.0,<2", "scipy")),
        ("ray[default, tune]>=2,<3 pytest", ("ray[default, tune]>=2,<3", "pytest")),
        ('tomli; python_version < "3.11"\npytest', ('tomli; python_version < "3.11"', "pytest")),
        ("mine @ git+https://github.com/o/n.git@v1 pytest", ("mine @ git+https://github.com/o/n.git@v1", "pytest")),
        ("pytest git+https://github.com/o/n.git ./local", ("pytest", "git+https://github.com/o/n.git", "./local")),
    ],
)
def test_requirements__text__is_split_only_before_another_package(text: str, packages: tuple[str, ...]) -> None:
    assert texts.requirements(text) == packages


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("run_args", "epochs=1\nseed=3\n", "epochs=1 seed=3"),
        ("run_args", "seed=3\nname=a b\n", "'name=a b' seed=3"),
        ("run_args", "name=it's b\nseed=3", '"name=it\'s b" seed=3'),
        ("run_args", 'name=it\'s "b"\nseed=3', 'name=it\'s "b"\nseed=3'),
        ("run_packages", "torch>=2,<3\nnumpy\n", "torch>=2,<3 numpy"),
        ("run_packages", 'numpy\ntomli; python_version < "3.11"\n', "'tomli; python_version < \"3.11\"' numpy"),
        ("run_packages", "torch @ https://h/t.whl\nnumpy", "'torch @ https://h/t.whl' numpy"),
        ("projects", "Digits\nTeam/*", "Digits, Team/*"),
        ("audit_queues", "a\nb", "a\nb"),
        ("goal", "maximize", "maximize"),
    ],
    ids=["args", "space", "quote", "both-quotes", "packages", "marker", "address", "names", "no-arg", "one-line"],
)
def test_presented__list_of_lines__is_one_line_that_is_read_alike(name: str, text: str, shown: str) -> None:
    assert run_arguments.presented("audit", {name: text}) == {name: shown}
    form = catalogue.parameter(name).form
    assert form and form.read(text, name) in (form.read(shown, name), tuple(reversed(form.read(shown, name))))


def test_presented__args__are_in_the_order_in_which_people_think() -> None:
    given = ["_context", "comment", "run_script", "threshold_percent", "project", "pull_request", "commit", "mine"]
    shown = ["commit", "pull_request", "project", "threshold_percent", "run_script", "comment", "_context", "mine"]
    assert list(run_arguments.presented("pr_check", dict.fromkeys(given, ""))) == shown
