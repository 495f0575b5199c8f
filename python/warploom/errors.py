"""Defines the error that the user can correct, and the exit codes of the program and of the tools."""

# Exit codes of sysexits.h, which the program also uses.
USAGE, DATA, NO_INPUT, CANNOT_CREATE, IO, NO_PERMISSION, CONFIG = 64, 65, 66, 73, 74, 77, 78


class ToolError(Exception):
    """Raised for an error that the user can correct. Contains a message of one line and the exit code of the tool."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
