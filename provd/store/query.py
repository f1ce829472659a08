"""Selectors and queries, as stores use them; the language itself lives in `model.selectors`."""

from provd.model.selectors import Query, apply, compile_selector, equality_keys, project, sort_value

__all__ = ["Query", "apply", "compile_selector", "equality_keys", "project", "sort_value"]
