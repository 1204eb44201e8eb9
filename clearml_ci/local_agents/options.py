"""The options of `ci_trigger.py agents`, and the end of its help. It imports nothing: each job reads it."""

from collections.abc import Mapping
from typing import Any

FOLDER = "~/.clearml-ci/agents"

POLL_SECONDS = 0.5

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--controllers": {
        "type": int,
        "default": 2,
        "metavar": "N",
        "help": "agents of the controllers' queue, default: 2; each check occupies one, with its steps, until it ends",
    },
    "--steps": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "agents of a queue for steps alone, which CLEARML_CI_STEPS_QUEUE names, default: 0; a check that waits "
        "for remote code occupies one",
    },
    "--code": {
        "type": int,
        "nargs": "?",
        "const": 1,
        "default": 0,
        "metavar": "N",
        "help": "also agents of the queue of pull-request code, each task in an environment of its own; without N one",
    },
    "--code-user": {
        "default": "",
        "metavar": "NAME",
        "help": "run pull-request code as this user of the machine; only root can",
    },
    "--docker": {"default": "", "metavar": "IMAGE", "help": "run pull-request code in containers of this image"},
    "--code-conf": {
        "default": "",
        "metavar": "FILE",
        "help": "a clearml.conf for the agents of pull-request code: ClearML keys and git access of their own",
    },
    "--poll": {
        "type": float,
        "default": POLL_SECONDS,
        "metavar": "SECONDS",
        "help": f"how often an agent looks at its queue, default: {POLL_SECONDS}; each look is a request to ClearML",
    },
    "--folder": {"default": FOLDER, "metavar": "DIR", "help": f"clones, packages and logs, default: {FOLDER}"},
    "--systemd": {"default": "", "metavar": "DIR", "help": "start nothing: write units for systemd into this folder"},
    "--compose": {
        "default": "",
        "metavar": "DIR",
        "help": "start nothing: write a compose file into this folder, for images of the Dockerfile here",
    },
    "--detach": {"action": "store_true", "help": "return when the agents are up; they run in the background"},
    "--status": {"action": "store_true", "help": "list the agents that run here, and what they execute"},
    "--stop": {"action": "store_true", "help": "end the agents that run here, and what they execute"},
}

DETAILS = """\
The agents are real clearml-agents, with settings for short waits: controllers and steps use the packages that are
installed here (pip install -r requirements-agents.txt), and not an environment for each task. The steps of a check run
with its controller, on one agent. Queues that do not exist are created. An agent that dies is started again after a
pause.

ClearML's address and keys come from the CLEARML_* variables or your clearml.conf. GITHUB_TOKEN, or a GitHub App in
CLEARML_CI_APP_ID and CLEARML_CI_APP_PRIVATE_KEY_FILE, goes only to the agents that run steps: those of controllers, or
those of steps if CLEARML_CI_STEPS_QUEUE names a queue for them. docs/agents-and-credentials.md lists what needs it.
CLEARML_CI_CONTROLLER_QUEUE and CLEARML_CI_CODE_QUEUE name other queues, and GITHUB_REPOSITORY=owner/name a repository
that agents of pull-request code must be able to clone.

No agent of pull-request code gets GitHub credentials. But code that runs as your user can read them from the other
agents: --code-user or --docker keeps it apart.
"""
