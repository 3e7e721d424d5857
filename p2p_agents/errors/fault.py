"""What every error of this project is; errors.py holds the tree."""

from __future__ import annotations

from p2p_agents import exits


class P2PError(Exception):
    """Anything this project raises on purpose. `hint` says what to do about it."""

    code = "error"
    exit = exits.FAILURE
    retryable = False
    hint = ""

    def __init__(self, message: str = "", *, hint: str = "", **details: object) -> None:
        super().__init__(message or (self.__doc__ or self.code).splitlines()[0])
        if hint:
            self.hint = hint
        self.details = details

    @property
    def message(self) -> str:
        return str(self.args[0])


class LocalFault(P2PError):
    """The request cannot be carried out as asked."""
