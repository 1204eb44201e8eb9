"""The product in rooms by layer; `docs/architecture.md` shows them and the way through them."""

__version__ = "0.2.0"
