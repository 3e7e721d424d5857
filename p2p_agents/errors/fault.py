"""What every error of this project is; __init__.py holds the tree."""

from __future__ import annotations

from p2p_agents import exits


class P2PError(Exception):
    """Anything this project raises on purpose. `hint` says what to do about it."""

    code = "error"
    exit = exits.FAILURE
    retryable = False
    hint = ""

    def __init__(self, message: str = "", *, hint: str = "", **details: object) -> None:
        super().__init__(message or self.meaning())
        if hint:
            self.hint = hint
        self.details = details

    @classmethod
    def meaning(cls) -> str:
        """The message of an error that says nothing more: its docstring's sentence, as messages are written."""
        return as_message((cls.__doc__ or cls.code).splitlines()[0])

    @property
    def message(self) -> str:
        return str(self.args[0])


class LocalFault(P2PError):
    """The request cannot be carried out as asked."""


def as_message(sentence: str) -> str:
    """A sentence as messages are written: it begins in lower case, and has no full stop."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")
