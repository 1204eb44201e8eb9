"""The agents of this machine, as `ci_trigger.py agents` checks, starts, watches and ends them."""
