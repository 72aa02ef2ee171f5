"""System calls that the sandbox forbids, as classic BPF built by libseccomp.

`jail_filter` is for programs of any kind (``sandbox.jail``), `browser_filter` for a browser there.
The pool of warm workers has two filters, stacked by the kernel. `worker_filter` is loaded by bubblewrap before
anything of the sandbox runs: kernel interfaces that have let programs out of sandboxes before, and that no Python
program needs. `program_filter` is loaded on top of it in the process that will run a model's program: it may start no
process, thread or other binary, open no socket, signal nobody, and leave nothing behind for the program that follows.
"""

import errno
import tempfile
from functools import cache
from typing import Any

from homespun.errors import SandboxError

KERNEL = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
    *("mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount", "mount_setattr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "listmount", "statmount", "unshare", "setns"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "create_module"),
    *("kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog"),
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark", "lookup_dcookie", "nfsservctl"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname"),
    *("iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "personality", "uselib", "ustat", "sysfs", "_sysctl"),
    *("vhangup", "mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages"),
    *("get_kernel_syms", "query_module", "memfd_secret", "pkey_alloc"),
)
"""Refused to everything in the sandbox with EPERM."""

PROGRAM = (
    *("fork", "vfork", "clone", "execve", "execveat", "kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    *("pidfd_open", "pidfd_send_signal", "setpgid", "setsid"),
    *("socket", "socketpair", "socketcall", "bind", "connect", "listen", "accept", "accept4"),
    *("shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl"),
    *("mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr"),
    *("setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setaffinity", "sched_setattr"),
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset", "seccomp"),
    *("memfd_create", "inotify_init", "inotify_init1", "vmsplice", "splice", "tee", "mknod", "mknodat"),
)
"""Refused on top of `KERNEL` to the process that runs a program."""

NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00000080)
"""CLONE_NEW{NS, CGROUP, UTS, IPC, USER, PID, NET, TIME} of clone(2)."""

TIOCSTI, TIOCLINUX = 0x5412, 0x541C

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: the socket families of a jail. No other: AF_VSOCK, say, knows no namespaces
and would reach the host of a virtual machine."""
MOST_FAMILIES = 64
"""Above every family that Linux has (46 in 6.18)."""
NETLINK, NETLINK_ROUTE = 16, 0
"""The one netlink protocol of a jail: a list of its own interfaces."""
OWN_SANDBOX = ("chroot", "unshare")
"""What Chromium's own sandbox calls, in namespaces of its own."""


@cache
def worker_filter() -> bytes:
    """BPF program for the whole sandbox.

    Raises:
        SandboxError: libseccomp is not installed.
    """
    return _export(KERNEL, namespaces=True)


@cache
def program_filter() -> bytes:
    """BPF program for the process that runs a model's program.

    Raises:
        SandboxError: libseccomp is not installed.
    """
    return _export((*KERNEL, *PROGRAM), limits_of_others=True)


@cache
def jail_filter() -> bytes:
    """BPF program for a program of any kind in a jail: it may start processes, threads and other programs.

    Raises:
        SandboxError: libseccomp is not installed.
    """
    return _export(KERNEL, namespaces=True, families=True)


@cache
def browser_filter() -> bytes:
    """BPF program for Chromium in a jail: `jail_filter`, but it may make namespaces for its own, inner sandbox.

    Raises:
        SandboxError: libseccomp is not installed.
    """
    return _export(tuple(name for name in KERNEL if name not in OWN_SANDBOX), families=True)


def _export(
    names: tuple[str, ...], *, namespaces: bool = False, limits_of_others: bool = False, families: bool = False
) -> bytes:
    try:
        import pyseccomp as sc
    except (ImportError, RuntimeError) as error:
        raise SandboxError(f"no system call filter: {error}", "sandbox", "apt install libseccomp2") from None
    table = sc.SyscallFilter(sc.ALLOW)
    table.set_attr(sc.Attr.ACT_BADARCH, sc.KILL_PROCESS)  # 32-bit and x32 calls would bypass the numbers below
    refuse = sc.ERRNO(errno.EPERM)
    for name in names:
        if _known(sc, name):
            table.add_rule(refuse, name)
    # clone3 hides its flags behind a pointer that no filter can read: ENOSYS makes libc fall back to clone
    table.add_rule(sc.ERRNO(errno.ENOSYS), "clone3")
    if namespaces:
        for flag in NEW_NAMESPACES:
            table.add_rule(refuse, "clone", sc.Arg(0, sc.MASKED_EQ, flag, flag))
    for request in (TIOCSTI, TIOCLINUX):  # typing into the terminal of whoever started us
        table.add_rule(refuse, "ioctl", sc.Arg(1, sc.MASKED_EQ, 0xFFFFFFFF, request))
    if limits_of_others:  # prlimit64(0, …) sets one's own limits; any other pid is somebody else's
        table.add_rule(refuse, "prlimit64", sc.Arg(0, sc.NE, 0))
    if families:
        _only_families(sc, table)
    with tempfile.TemporaryFile() as file:
        table.export_bpf(file)
        file.seek(0)
        return file.read()


def _only_families(sc: Any, table: Any) -> None:
    """Refuses sockets of all families but `FAMILIES`, and all netlink but routing."""
    unsupported = sc.ERRNO(errno.EAFNOSUPPORT)
    for family in range(MOST_FAMILIES):
        if family not in FAMILIES:
            table.add_rule(unsupported, "socket", sc.Arg(0, sc.MASKED_EQ, 0xFFFFFFFF, family))
    table.add_rule(unsupported, "socket", sc.Arg(0, sc.GE, MOST_FAMILIES))
    table.add_rule(unsupported, "socket", sc.Arg(0, sc.MASKED_EQ, 0xFFFFFFFF, NETLINK), sc.Arg(2, sc.NE, NETLINK_ROUTE))


def _known(sc: object, name: str) -> bool:
    """Whether this machine's architecture and libseccomp know a call; an unknown call cannot be made by name."""
    try:
        number = sc.resolve_syscall(sc.Arch.NATIVE, name)  # type: ignore[attr-defined]
    except (ValueError, OSError):
        return False
    return isinstance(number, int) and number >= 0
