"""Names around stored documents."""

from provd.errors import InvalidId as InvalidIdError
from provd.errors import NotDeletable as NonDeletableError

__all__ = ["ID_KEY", "InvalidIdError", "NonDeletableError"]

ID_KEY = "id"
