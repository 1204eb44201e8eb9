"""The shared package: a pure core that decides, and two gateways that talk to ClearML and to GitHub."""

__version__ = "0.1.0"
