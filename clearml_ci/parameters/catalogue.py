"""The list of parameters. To add one: an entry here, its use, its test, and `python -m tools.reference`.

From this list come the Args of the pipelines and their descriptions in ClearML, reading and writing them, the
variables of a job, the keys and the JSON schema of a policy, the notes on overridden inputs, the inputs of action.yml,
and the tables of the documentation.
"""

from collections.abc import Iterable

from clearml_ci.core import comment_mode
from clearml_ci.parameters import forms, json_schema, promotion_mode
from clearml_ci.parameters.forms import COMMIT, SECONDS, SWITCH, TEXT
from clearml_ci.parameters.parameter import Key, Parameter

CHECK, PROMOTION, AUDIT = PIPELINES = ("pr_check", promotion_mode.PIPELINE, "audit")


SERVER, GITHUB, JUDGED, CODE, REPORT, AUDITS, QUEUES, OWN = GROUPS = (
    "Your ClearML server",
    "GitHub",
    "What is checked",
    "The code on an agent",
    "The result and its report",
    "The audit",
    "Queues, each of which needs an agent",
    "ClearML CI itself",
)


# Each of these alone requests the probe of ClearML's earlier action.
PROBE_VARIABLES = ("QUEUE_NAME", "EXECUTION_ENTRYPOINT")


NOISE, BEST_EVER = "noise", "best-ever"  # rules


_JUDGES = (CHECK, PROMOTION)
_RUNS_CODE = (CHECK, AUDIT)
_ALL = PIPELINES

PARAMETERS = (
    # --- Your ClearML server: the SDK reads these
    Parameter(
        "clearml_api_host",
        "Address of the API of your ClearML server, such as https://api.clear.ml.",
        SERVER,
        TEXT,
        variables=("CLEARML_API_HOST",),
    ),
    Parameter(
        "clearml_web_host",
        "Address of its web pages, such as https://app.clear.ml; the links in the comment lead there.",
        SERVER,
        TEXT,
        variables=("CLEARML_WEB_HOST",),
    ),
    Parameter(
        "clearml_files_host",
        "Address of its file server, such as https://files.clear.ml.",
        SERVER,
        TEXT,
        variables=("CLEARML_FILES_HOST",),
    ),
    Parameter(
        "clearml_api_access_key",
        "Access key of ClearML credentials; keep it in a secret.",
        SERVER,
        TEXT,
        variables=("CLEARML_API_ACCESS_KEY",),
    ),
    Parameter(
        "clearml_api_secret_key",
        "Secret key of the same credentials; keep it in a secret.",
        SERVER,
        TEXT,
        variables=("CLEARML_API_SECRET_KEY",),
    ),
    # --- GitHub
    Parameter(
        "github_token",
        "Token with which the job sets the status, reads the policy, and comments if the agent that runs the steps has "
        "no GitHub credentials; the workflow's own, with `permissions:`, is enough.",
        GITHUB,
        TEXT,
        absent="the workflow's own",
        variables=("GITHUB_TOKEN",),
    ),
    Parameter(
        "gh_token",
        "A personal token, used instead of `github_token` if it is set; the name in ClearML's earlier actions.",
        GITHUB,
        TEXT,
        variables=("GH_TOKEN",),
    ),
    Parameter(
        "commit_id",
        "Not needed. If it is set, it must be the head commit of the pull request; the name in ClearML's earlier "
        "actions.",
        GITHUB,
        COMMIT,
        variables=("COMMIT_ID",),
    ),
    # --- What is checked
    Parameter(
        "policy",
        "Path of the policy file on the base branch; a file that is named here must exist there.",
        JUDGED,
        forms.POLICY_FILE,
        absent="`.github/clearml-ci.yml`, if it exists",
        variables=("CLEARML_CI_POLICY",),
    ),
    Parameter(
        "_name",
        "Name of the check, if a repository has several and no policy: each name has its own status and comment.",
        JUDGED,
        forms.CHECK_NAME,
        pipelines=_ALL,
        variables=("CLEARML_CI_NAME",),
        key=Key(
            "name",
            absent="one check, without a name",
            help="Name of the check, if a repository has several: each has its own status and comment. At most "
            f"{forms.LONGEST_NAME} characters.",
        ),
    ),
    Parameter(
        "action",
        "What happens to the tag: `promote` gives it to the merged model, `rollback` undoes the last promotion.",
        JUDGED,
        forms.choice("check", *promotion_mode.ACTIONS),
        default="check",
        shown=promotion_mode.PROMOTE,
        pipelines=(PROMOTION,),
    ),
    Parameter(
        "commit",
        "Full hash of the commit that is checked: the head of the pull request. In an audit a commit of the default "
        "branch; empty for its newest.",
        JUDGED,
        COMMIT,
        pipelines=_ALL,
    ),
    Parameter("pull_request", "Number of the pull request.", JUDGED, None, pipelines=_JUDGES),
    Parameter(
        "merge_commit",
        "Full hash of the commit that the merge made on the default branch.",
        JUDGED,
        COMMIT,
        pipelines=(PROMOTION,),
    ),
    Parameter(
        "project",
        "ClearML project of the training tasks; it must exist.",
        JUDGED,
        forms.PROJECT,
        absent="the whole workspace",
        pipelines=_JUDGES,
        variables=("CLEARML_PROJECT",),
        key=Key("project", absent="the input `clearml_project`, else the whole workspace", open=True),
        often=True,
    ),
    Parameter(
        "task_name",
        "Exact name of the training tasks.",
        JUDGED,
        forms.TASK_NAME,
        absent="any name",
        pipelines=_ALL,
        variables=("CLEARML_TASK_NAME",),
        key=Key("task_name", absent="the input `clearml_task_name`, else any name", open=True),
        often=True,
    ),
    Parameter(
        "candidate",
        "The task that is judged: `find` the task that ran this commit, `train` it on an agent, `find-or-train`, or "
        "`none` (there are no gates, the code is only run).",
        JUDGED,
        forms.choice("find", "train", "find-or-train", "none"),
        default="find",
        pipelines=(CHECK,),
        variables=("CLEARML_CI_CANDIDATE",),
        key=Key("candidate"),
        often=True,
    ),
    Parameter(
        "ignored_paths",
        "Files that no task depends on: a task of an earlier commit of the same pull request counts if only these "
        "changed since.",
        JUDGED,
        forms.names(json_schema.A_PATH + "docs/** or *.md", form=json_schema.INSIDE),
        key=Key("evidence.ignored_paths", default=[]),
    ),
    Parameter(
        "scalar_title",
        "Title of the metric in ClearML; `Summary` for a single value. Without title and series nothing is compared.",
        JUDGED,
        None,
        pipelines=_JUDGES,
        variables=("CLEARML_SCALAR_TITLE",),
        often=True,
    ),
    Parameter(
        "scalar_series",
        "Series of the metric, or the name of the single value.",
        JUDGED,
        None,
        pipelines=_JUDGES,
        variables=("CLEARML_SCALAR_SERIES",),
        often=True,
    ),
    Parameter(
        "goal",
        "The direction that is better: `maximize` (or `MAX`) or `minimize` (or `MIN`).",
        JUDGED,
        forms.GOAL,
        default="maximize",
        pipelines=_JUDGES,
        variables=("CLEARML_SCALAR_MIN_MAX",),
        often=True,
    ),
    Parameter(
        "threshold_percent",
        "How much worse than the baseline the model may be, in percent of the baseline's absolute value.",
        JUDGED,
        forms.PERCENT,
        default="0",
        pipelines=_JUDGES,
        variables=("CLEARML_SCALAR_THRESHOLD",),
        often=True,
    ),
    Parameter(
        "gates",
        "All gates, as JSON, if one metric with a tolerance is not enough. Instead of `scalar_title`, `scalar_series` "
        "and `goal`, edit this one; an edit of `threshold_percent` applies to the gates whose tolerance is in percent.",
        JUDGED,
        None,
        pipelines=_ALL,
        key=Key("gates", default=[], help="The metrics that are judged."),
    ),
    Parameter(
        "at",
        "Iteration of each run at which its gates are read: `own`, each metric at its own best or last one; `last`, "
        "that of the run; or `best of title/series`, the best one of the metric of another gate.",
        JUDGED,
        forms.AT,
        default="own",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_AT",),
        key=Key("at"),
    ),
    Parameter(
        "best_tag",
        "Tag of the baseline: the task with the model to match.",
        JUDGED,
        forms.TAG,
        default="Best Performance",
        pipelines=_ALL,
        variables=("CLEARML_BEST_TAGNAME",),
        key=Key("baselines.tag"),
        often=True,
    ),
    Parameter(
        "baseline_main",
        "Also show the task of the commit at which the branch left its base branch, beside the baseline.",
        JUDGED,
        SWITCH,
        default="true",
        pipelines=(CHECK,),
        variables=("CLEARML_CI_BASELINE_MAIN",),
        key=Key("baselines.main", default=False),
    ),
    Parameter(
        "alike",
        "What must be the same in candidate and baseline, as JSON with the keys `hyperparameters`, `packages`, "
        "`inputs` and `difference`. Empty: differences are shown, and none matters.",
        JUDGED,
        forms.ALIKE,
        pipelines=_JUDGES,
        key=Key("alike", default={}, help="What must be the same in candidate and baseline for a comparison to count."),
    ),
    Parameter(
        "rule",
        "How a loss is judged if the noise of the metric is known: `noise` takes only a credible one for a loss, "
        "`best-ever` any that is larger than the tolerance around the baseline.",
        JUDGED,
        forms.choice(NOISE, BEST_EVER),
        default=NOISE,
        pipelines=_JUDGES,
        variables=("CLEARML_CI_RULE",),
        key=Key("rule"),
    ),
    Parameter(
        "undecided",
        "Outcome of a loss that one run alone makes likely (95 %), but not credible, if no repeats are allowed: "
        "`passed` or `inconclusive`.",
        JUDGED,
        forms.choice("passed", "inconclusive"),
        default="passed",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_UNDECIDED",),
        key=Key("undecided"),
    ),
    Parameter(
        "seed",
        "Hyperparameter that holds the seed, such as `Args/my_seed`: runs of a commit that differ in it alone are one "
        "sample.",
        JUDGED,
        forms.strict_line("a hyperparameter with its section, such as Args/my_seed", form=r"(?=[^/*]+/[^*]+$)"),
        absent="the hyperparameters `seed`, `random_seed` and `random_state` of any section",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_SEED",),
        key=Key("seed", absent="`seed`, `random_seed` or `random_state` of any section"),
    ),
    Parameter(
        "repeats",
        "Number of further trainings of the commit, each with another seed, that a suspicious loss may ask for, `0` to "
        "`4`; only if the candidate is trained.",
        JUDGED,
        forms.REPEATS,
        default="0",
        pipelines=(CHECK,),
        variables=("CLEARML_CI_REPEATS",),
        key=Key("repeats"),
    ),
    Parameter(
        "repeats_hours",
        "Hours for which the repeats of one check may occupy agents, all together; what runs then is stopped, and the "
        "runs that there are decide.",
        JUDGED,
        forms.HOURS,
        default="24",
        pipelines=(CHECK,),
        variables=("CLEARML_CI_REPEATS_HOURS",),
        key=Key("repeats_hours"),
    ),
    Parameter(
        "accept_role",
        "Smallest role of a user who may accept a loss with a comment: `write`, `maintain` or `admin`.",
        JUDGED,
        forms.choice("write", "maintain", "admin"),
        default="maintain",
        key=Key("accept.role"),
    ),
    Parameter(
        "accept_author",
        "May the author of the pull request accept its losses? Never the author of a fork's.",
        JUDGED,
        SWITCH,
        default="false",
        key=Key("accept.author"),
    ),
    Parameter(
        "merge_queue",
        "How the commit of a merge queue is checked if its files are not those of a judged one: `carry` over the "
        "verdicts of its pull requests, `probe` whether it runs, or `train` it and judge its model.",
        JUDGED,
        forms.choice("carry", "probe", "train"),
        key=Key("merge_queue", absent="`probe` if there is a remote run, else `carry`"),
    ),
    # --- The code on an agent
    Parameter(
        "run_until",
        "Run the commit on an agent: until its `first-iteration` (a probe, which is then stopped and archived), to its "
        "`completion`, or `off`.",
        CODE,
        forms.choice("first-iteration", "completion", "off"),
        default="off",
        absent="`off`; `completion` if the candidate is trained",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_REMOTE_RUN",),
        key=Key(
            "remote_run.until",
            default="first-iteration",
            help="How far it is run: until its `first-iteration` (a probe, which is then stopped and archived), to its "
            "`completion` (must be written if `candidate` is `train` or `find-or-train`), or `off`.",
        ),
        often=True,
    ),
    Parameter(
        "run_queue",
        "ClearML queue of pull-request code; it needs an agent of its own, never that of controllers or steps.",
        QUEUES,
        TEXT,
        default="ci-code",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_CODE_QUEUE", "QUEUE_NAME"),
        key=Key("remote_run.queue", absent="the input `code_queue`", open=True),
    ),
    Parameter(
        "run_project",
        "ClearML project of the launched task.",
        CODE,
        forms.NEW_PROJECT,
        default="Github CICD",
        absent="that of the check, else `Github CICD`",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_PROJECT",),
        fallback="project",
        key=Key("remote_run.project", absent="the policy's `project`, else the inputs", open=True),
    ),
    Parameter(
        "run_name",
        "Name of the launched task.",
        CODE,
        forms.NEW_TASK_NAME,
        default="cicd_test_task",
        absent="that of the check, else `cicd_test_task`",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_NAME",),
        fallback="task_name",
        key=Key("remote_run.name", absent="the policy's `task_name`, else the inputs", open=True),
    ),
    Parameter(
        "run_script",
        "The script that is run.",
        CODE,
        forms.path("train.py"),
        absent="`main.py`",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_SCRIPT", "EXECUTION_ENTRYPOINT"),
        key=Key("remote_run.script", absent="required, unless `module` is set or `until` is `off`"),
        often=True,
    ),
    Parameter(
        "run_module",
        "A module that is run instead of a script, with its arguments: `pytest -m gpu`.",
        CODE,
        forms.MODULE,
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_MODULE",),
        key=Key("remote_run.module"),
    ),
    Parameter(
        "run_folder",
        "Working directory of the run, relative to the repository's root.",
        CODE,
        forms.path("models/digits"),
        default=".",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_FOLDER", "EXECUTION_FOLDER"),
        key=Key("remote_run.folder"),
    ),
    Parameter(
        "run_requirements",
        "Requirements file of the run.",
        CODE,
        forms.path("requirements.txt"),
        absent="the nearest `requirements.txt`, from the script's folder up to the root",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_REQUIREMENTS", "EXECUTION_REQUIREMENTS"),
        key=Key("remote_run.requirements", absent="the nearest `requirements.txt`, from the script's folder up"),
    ),
    Parameter(
        "run_packages",
        "Further packages of the run, such as `pytest numpy==2.2`.",
        CODE,
        forms.REQUIREMENTS,
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_PACKAGES",),
        key=Key("remote_run.packages", default=[], help="Packages to install besides those of the requirements file."),
    ),
    Parameter(
        "run_args",
        "Arguments of the script, as its `argparse` names them: `epochs=1 seed=3`, or one in each line. "
        "ClearML shows them: a token or a password is refused.",
        CODE,
        forms.ASSIGNMENTS,
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_ARGS", "EXECUTION_ARGS"),
        key=Key(
            "remote_run.args", default=[], help="Arguments of the script, as its `argparse` names them: `[epochs=1]`."
        ),
    ),
    Parameter(
        "run_docker_image",
        "Container image of the run, for agents in docker mode.",
        CODE,
        forms.MAYBE_EMPTY,
        absent="the agent's own",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_DOCKER_IMAGE",),
        key=Key("remote_run.docker_image", default="", absent="the agent's own"),
    ),
    Parameter(
        "run_docker_args",
        "Docker arguments of the run, for agents in docker mode. A secret is passed by its name, `--env HF_TOKEN`.",
        CODE,
        forms.MAYBE_EMPTY,
        absent="the agent's own",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_RUN_DOCKER_ARGS",),
        key=Key("remote_run.docker_args", default="", absent="the agent's own"),
    ),
    Parameter(
        "run_queue_limit",
        "Seconds that the launched task may wait in its queue.",
        CODE,
        SECONDS,
        default="600",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_QUEUE_LIMIT",),
        key=Key("remote_run.queue_limit", default=600),
    ),
    Parameter(
        "run_setup_limit",
        "Seconds from the queue to the start of the script.",
        CODE,
        SECONDS,
        default="600",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_SETUP_LIMIT",),
        key=Key("remote_run.setup_limit", default=600),
    ),
    Parameter(
        "run_progress_limit",
        "Seconds from the start of the script to its first progress, or to its completion.",
        CODE,
        SECONDS,
        default="600",
        absent="`600`, or `18000` to the completion",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_PROGRESS_LIMIT", "EXECUTION_TIMEOUT"),
        key=Key("remote_run.progress_limit", default=600, absent="`600`, or `18000` to the completion"),
    ),
    Parameter(
        "run_inject_task_init",
        "Add a call of `Task.init` if the script cannot be read to see whether it has one.",
        CODE,
        SWITCH,
        default="false",
        shown="",
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_INJECT_TASK_INIT",),
        key=Key("remote_run.inject_task_init"),
    ),
    Parameter(
        "run_approval_label",
        "Label with which a user with write access lets a fork's commit run on an agent.",
        CODE,
        forms.line("a label's name of at most 50 characters", maxLength=50),
        default="run-remote",
        shown="",
        pipelines=(CHECK,),  # the default branch needs no approval
        variables=("CLEARML_CI_APPROVAL_LABEL",),
        key=Key(
            "remote_run.approval_label",
            help="Label with which a user with write access lets a fork's commit run on an agent; the workflow of "
            "forks must name the same one.",
        ),
    ),
    # --- The result and its report
    Parameter(
        "comment",
        "When the pull request's comment is written: `always`, `on-change` of the outcome, `on-failure`, or `off`.",
        REPORT,
        forms.choice(*comment_mode.MODES),
        default="always",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_COMMENT",),
        key=Key("comment"),
    ),
    Parameter(
        "comment_authors",
        "Logins whose comments with the marker of ClearML CI may be updated as well, such as `my-app[bot]`; "
        "those of Apps and of users who may write to the repository are anyway.",
        REPORT,
        forms.names("a GitHub login, such as my-bot or my-app[bot]", form=r"(?=[A-Za-z0-9][A-Za-z0-9_-]*(\[bot\])?$)"),
        key=Key("comment_authors", default=[]),
    ),
    Parameter(
        "inconclusive",
        "What a check without a decision shows, for example if its metric is missing: `fail` or `pass`.",
        REPORT,
        forms.choice("fail", "pass"),
        default="fail",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_INCONCLUSIVE",),
        key=Key("inconclusive"),
    ),
    Parameter(
        "promote",
        "When the tag moves to the new model: after the merge, if it is as good or `better`, or if it is `passing` its "
        "gates; or `on-pass`, in the check before the merge.",
        REPORT,
        forms.choice(*promotion_mode.MODES),
        default="better",
        pipelines=_JUDGES,
        variables=("CLEARML_CI_PROMOTE",),
        key=Key("promote"),
    ),
    Parameter(
        "wait",
        "`false`: the job ends as soon as the run has started. The verdict arrives as the commit status, that of an "
        "audit in its issue, and the agent that runs the steps needs GitHub credentials of its own.",
        REPORT,
        SWITCH,
        default="true",
        variables=("CLEARML_CI_WAIT",),
        often=True,
    ),
    Parameter(
        "deadline",
        "Seconds until the run is stopped and the check ends as an `error`.",
        REPORT,
        SECONDS,
        default="1800",
        absent="`1800`, or five minutes more than the limits of a remote run (`19500` to the completion), repeats "
        "included",
        variables=("CLEARML_CI_DEADLINE",),
    ),
    # --- The audit
    Parameter(
        "projects",
        "ClearML projects of an audit, separated by commas or lines; `name/*` stands for all projects below.",
        AUDITS,
        forms.NAMES,
        absent="`clearml_project`, or those of the repository's checks",
        pipelines=(AUDIT,),
        variables=("CLEARML_CI_AUDIT_PROJECTS",),
    ),
    Parameter(
        "queues",
        "Queues that the audit looks at, separated by commas or lines. Empty: that of the steps, if they have one, and "
        "that of the probe.",
        AUDITS,
        None,
        pipelines=(AUDIT,),
    ),
    Parameter(
        "audit_queues",
        "Further queues that an audit looks at, separated by commas or lines.",
        AUDITS,
        forms.NAMES,
        absent="those of the checks alone",
        variables=("CLEARML_CI_AUDIT_QUEUES",),
    ),
    Parameter(
        "longest_wait",
        "Seconds that a task may wait in a queue before the audit reports it.",
        AUDITS,
        SECONDS,
        default="3600",
        pipelines=(AUDIT,),
    ),
    Parameter(
        "clean_up",
        "End the tasks of dead runs that carry the mark of their run; if `false`, they are only reported.",
        AUDITS,
        SWITCH,
        default="true",
        pipelines=(AUDIT,),
    ),
    Parameter(
        "retrain",
        "How often an audit trains the default branch again, to compare it with its own earlier tasks, `0` to `9`.",
        AUDITS,
        forms.DIGIT,
        default="0",
        pipelines=(AUDIT,),
        variables=("CLEARML_CI_AUDIT_RETRAIN",),
    ),
    Parameter(
        "bisect",
        "How often an audit trains each merge that may have brought a loss larger than its gate allows, each time with "
        "another seed, to name the merge, `0` to `9`.",
        AUDITS,
        forms.DIGIT,
        default="0",
        pipelines=(AUDIT,),
        variables=("CLEARML_CI_AUDIT_BISECT",),
        key=Key("audit_bisect", absent="the input `audit_bisect`", open=True),
    ),
    # --- Queues: each needs an agent that listens to it
    Parameter(
        "_controller_queue",
        "ClearML queue of the controllers, whose agent runs the steps as well, and may hold GitHub credentials.",
        QUEUES,
        TEXT,
        default="ci-controllers",
        pipelines=_ALL,
        variables=("CLEARML_CI_CONTROLLER_QUEUE",),
    ),
    Parameter(
        "_steps_queue",
        "ClearML queue for the trusted steps alone; its agent then holds the GitHub credentials.",
        QUEUES,
        TEXT,
        absent="none: the steps run with their controller, on its agent",
        pipelines=_ALL,
        variables=("CLEARML_CI_STEPS_QUEUE",),
    ),
    Parameter(
        "services_queue",
        "ClearML queue for tasks that never end, such as the schedule of an audit.",
        QUEUES,
        TEXT,
        default="services",
        variables=("CLEARML_CI_SERVICES_QUEUE",),
    ),
    Parameter(
        "_shared_queue",
        "Allows pull-request code on the queue of steps or controllers, if it is exactly this text: `pull-request code "
        "may read the steps' credentials`.",
        QUEUES,
        TEXT,
        pipelines=_RUNS_CODE,
        variables=("CLEARML_CI_SHARED_QUEUE",),
    ),
    # --- ClearML CI itself
    Parameter(
        "command",
        "What is started: `pr`, `promote`, `audit`, `calibrate`, `rollback`, `register`, or `validate` (it needs a "
        "checkout).",
        OWN,
        TEXT,
        absent="what the event asks for",
        variables=("COMMAND",),
    ),
    Parameter(
        "pipeline_project",
        "ClearML project that holds the pipelines.",
        OWN,
        forms.NEW_PROJECT,
        default="ClearML CI",
        variables=("CLEARML_CI_PIPELINE_PROJECT",),
    ),
    Parameter(
        "agents_repository",
        "Address of the git repository from which the agents get ClearML CI.",
        OWN,
        TEXT,
        absent="that of this action; in a clone, its origin",
        variables=("CLEARML_CI_REPOSITORY",),
    ),
    Parameter(
        "agents_commit",
        "Full hash of the commit of ClearML CI that the agents run.",
        OWN,
        COMMIT,
        absent="that of this action; in a clone, its HEAD",
        variables=("CLEARML_CI_COMMIT",),
    ),
    Parameter(
        "_context",
        "What the job knows about the pull request and the repository, as JSON; ClearML CI writes it.",
        OWN,
        None,
        default="{}",
        pipelines=_ALL,
    ),
    Parameter(
        "_deadline",
        "Seconds after which a run ends itself, also if no job waits for it. ClearML CI writes it.",
        OWN,
        None,
        pipelines=_ALL,
    ),
    Parameter(
        "_origin",
        "Random mark of the run that was started first; its reruns keep it. ClearML CI writes it.",
        OWN,
        None,
        pipelines=_ALL,
    ),
    Parameter(
        "_start",
        "Random mark of the request that started the run, by which the job finds it again. ClearML CI writes it.",
        OWN,
        None,
        pipelines=_ALL,
    ),
    Parameter(
        promotion_mode.UNDOES,
        "The id of the run whose promotion a rollback undoes; empty for the last promotion. ClearML CI writes it.",
        OWN,
        None,
        pipelines=(PROMOTION,),
    ),
)


def parameter(name: str) -> Parameter:
    """The parameter of this name."""
    return _BY_NAME[name]


def is_argument(name: str) -> bool:
    """True if a pipeline has an Arg of this name."""
    return name in _BY_NAME and bool(_BY_NAME[name].pipelines)


def of_pipeline(pipeline: str) -> tuple[Parameter, ...]:
    """The parameters that are Args of this pipeline."""
    return tuple(parameter for parameter in PARAMETERS if pipeline in parameter.pipelines)


def of_policies() -> list[tuple[Parameter, Key]]:
    """The parameters that a policy can set, with their keys."""
    return [(parameter, parameter.key) for parameter in PARAMETERS if parameter.key]


def descriptions(names: Iterable[str]) -> dict[str, str]:
    """The help of these parameters, which ends with the choices if a value is one."""
    return {name: _description(parameter(name)) for name in names}


def _description(parameter: Parameter) -> str:
    choices = parameter.form.choices if parameter.form else ()
    return f"{parameter.help} One of: {', '.join(choices)}." if choices else parameter.help


_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
