"""The one error that a user's own input can cause."""


class InputError(ValueError):
    """Bad input, told in one sentence that names the file or argument and says what is allowed.

    The command line prints the sentence without a traceback and exits with code 2.
    """


class ProblemsFound(Exception):
    """Some of the work failed, and what failed was told."""
