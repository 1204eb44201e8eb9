"""The steps of the pipelines, each a program that an agent runs as a module."""
