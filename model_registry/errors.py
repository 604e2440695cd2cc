"""The two ways a command fails: it was called wrongly, or the job could not be done."""


class NightjarError(Exception):
    """The job failed. The message is one sentence for the user; the command exits with status 1."""

    exit_status = 1


class UsageError(NightjarError):
    """The call was wrong: it names the thing, the value found and the values allowed; exit status 2."""

    exit_status = 2
