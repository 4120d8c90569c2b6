"""Figures of a model on ratings that it never saw."""
