"""Starts a job with bubblewrap (https://github.com/containers/bubblewrap), the jail that is used unless told otherwise.

Promised of every program that runs inside:
    * no network but a loopback of its own: no address, interface, name or unix socket of the host, abstract ones and
      vsock included; the gate of the job is the one way in or out, for that one socket;
    * nothing to read but /usr without /usr/local and without installed Python packages, some files of /etc that name
      nobody, our Python and Node, and the job's own folders; all of it read-only. No home, no /sys, no /var, no disk;
    * three places to write, /work, /tmp and /dev/shm, in memory, capped (``disk_mb`` each), gone with the job; and
      /out where the job has an output folder;
    * an empty environment, an empty standard input, no terminal (a session of its own);
    * namespaces of its own: mount, PID, IPC, UTS, network, control group, and for an ordinary user a user namespace.
      Started by root it runs as a real user without any right, one that no other job has at the time;
    * no capability, no_new_privs, nosuid: root's programs give it nothing;
    * the system calls of ``seccomp.KERNEL`` are refused: tracing, mounting, namespaces, kernel keys, bpf, io_uring …;
      so are all 32-bit calls and socket families other than unix, IP and routing netlink;
    * bounds on the wall clock while somebody waits (else four hours), processor time of each process, processes,
      descriptors, output, core dumps. With a control group (version 1 or 2, found by looking): memory, files in memory
      included, and swap of the whole job, and its processes together weigh like one. Without one: memory of each
      process apart, a gigabyte at least;
    * when it has ended, by itself or by us, no process, group, mount or folder of it is left; and it dies with us,
      however we die.
Not promised:
    * protection against a bug in the kernel itself: ``gvisor.py`` puts a second kernel in between, a virtual machine
      does more;
    * that a program cannot learn that it is in a jail, the kernel's version, the processors and memory of this host
      and how busy they are, what is installed in /usr, or from its mount table where the folders it sees lie outside;
    * that timing or the processor's caches carry nothing out;
    * without a control group: that the memory of all processes together is bounded, or what the kernel itself spends
      on empty files and pipes before the wall clock strikes;
    * a bound on what is written to an output folder: that is for whoever hands one over;
    * as much where ``homespun`` runs as an ordinary user: then all jobs are that user, kept apart by their
      namespaces alone.
There is no second, unprotected way to run a program: without bubblewrap there is a SandboxError.
"""

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
    arguments = [*command.namespaces(user), *command.mounted(job, user, handed.content)]
    return Plan(
        arguments=[*arguments, "--seccomp", handed.content(jail_filter())],
        command=[*command.unprivileged(user), *system.entry(job)],
        group=job.bounds,
        each=job.bounds,
    )
