"""Errors that the command line turns into one sentence and an exit code."""


class InputError(ValueError):
    """Bad input, told in one sentence that names the file or argument and says what is allowed.

    The command line prints the sentence without a traceback and exits with code 2.
    """


class ProblemsFound(Exception):
    """Some of the work failed, and what failed was reported."""


class TrainingFailed(RuntimeError):
    """The run cannot continue; what was saved before stays."""


class ProcessLost(RuntimeError):
    """Another process of the run ended without a word; what was saved before stays."""
