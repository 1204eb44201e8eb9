"""The audit: audit_baselines ────────────────────────────┐
              audit_leftovers ────────────────────────────┼→ audit_report; what trains only if the run asks for it.
              audit_stale_checks ─────────────────────────┤
              audit_probe → audit_retrain → audit_bisect ─┘

It checks what the default branch promises: on a schedule, by ci_trigger.py or from ClearML's web UI.
"""

from clearml_ci.agent import controller
from clearml_ci.parameters import audit, run_arguments

PARAMETERS = run_arguments.declared(audit.PIPELINE)

if __name__ == "__main__":
    controller.run(audit.PIPELINE, parameters=PARAMETERS, plan=audit.plan)
