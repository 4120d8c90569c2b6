"""Dataclasses as command lines, and how a script ends."""
