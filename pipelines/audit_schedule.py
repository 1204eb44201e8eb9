"""The schedule of a repository's audit: an agent of the services queue runs this file, and it never returns."""

from clearml_ci.clearml_api import audit_scheduler
from clearml_ci.core import console
from clearml_ci.core.poll import Clock

if __name__ == "__main__":
    audit_scheduler.serve(clock=Clock(), log=console.log)
