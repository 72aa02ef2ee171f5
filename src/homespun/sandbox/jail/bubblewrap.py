"""Starts a job with bubblewrap (https://github.com/containers/bubblewrap)."""

from homespun.sandbox.jail import command, system
from homespun.sandbox.jail.plan import Handed, Plan
from homespun.sandbox.jail.running import JailedJob
from homespun.sandbox.jail.types import Job
from homespun.sandbox.seccomp import jail_filter


class Bubblewrap:
    """Namespaces, a system call filter, a user without rights, control groups or limits.

    Raises:
        SandboxError: bubblewrap, setpriv or libseccomp is not installed.
    """

    name = "bubblewrap"

    def __init__(self) -> None:
        self._binary = command.binary()
        jail_filter()

    def start(self, job: Job) -> JailedJob:
        """Starts a job.

        Raises:
            SandboxError: the job's files cannot be written, its gate cannot be reached, or no user is free.
        """
        return JailedJob(job, self._binary, plan)


def plan(job: Job, user: int, handed: Handed) -> Plan:
    """How bwrap is called for a job."""
    return Plan(
        arguments=[*command.namespaces(user), *command.mounted(job, user), "--seccomp", handed.content(jail_filter())],
        command=[*command.unprivileged(user), *system.entry(job)],
        group=job.bounds,
        each=job.bounds,
    )
