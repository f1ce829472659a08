"""The template loader under its old name."""

from provd.plugin.templates import SearchPathLoader as ProvdFileSystemLoader

__all__ = ["ProvdFileSystemLoader"]
