"""The one error that is meant for the user."""


class UserError(Exception):
    """The configuration or an input is wrong: the message says what was found, what was expected and what to type.

    ``cli`` prints the message without a traceback and exits with code 2 (``HYDRA_FULL_ERROR=1`` shows the traceback).
    """


class RunFailed(Exception):
    """A run that had begun could not go on (divergence, a full disk): printed as one sentence, exit code 1."""
