"""What people read of an error."""

from core.errors import AppError


def with_reference(error: AppError, words: str, reference: str) -> str:
    """*words* for the person, with the log's *reference* where an administrator may need it."""
    return words if error.explained else f"{words} (Reference {reference}.)"
