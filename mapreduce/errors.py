"""What can go wrong with jobs, as clients of the tracker see it."""

from __future__ import annotations

from clusterkit.errors import EXIT_FAILED, ClusterError, UsageError


class JobNotFound(ClusterError):
    """No job of this name, or none any more."""

    code, exit_code = "NOT_FOUND", EXIT_FAILED


class OutputExists(ClusterError):
    """The output directory is there already, or another job is writing it."""

    code, exit_code = "EXISTS", EXIT_FAILED


class JobRefused(ClusterError):
    """The job's state does not allow it."""

    code, exit_code = "FAILED_PRECONDITION", EXIT_FAILED


class PublishRefused(ClusterError):
    """A job's granted files are not there as they were granted: trying again would not help."""

    code, exit_code = "PUBLISH_REFUSED", EXIT_FAILED


class InputRefused(ClusterError):
    """What a job shall read is missing, empty or ambiguous."""

    code, exit_code = "INPUT_REFUSED", EXIT_FAILED


class SeveralJobs(UsageError):
    """A file defines more than one Job, and none was named."""


class Interrupted(KeyboardInterrupt):
    """A signal ends the command. What a job raises itself is never this one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
