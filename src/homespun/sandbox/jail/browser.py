"""Starts Chromium in a jail: for looking at what hostile programs show.

The jail is that of ``bubblewrap.py`` (read its promise), with these differences: no wall clock, since a browser serves
many looks; standard input, output and error and the two pipes of the DevTools protocol (descriptors 3 and 4) are
passed through; and Chromium may make namespaces, since its own sandbox for the pages' processes is made of them. That
inner sandbox stays on (``--no-sandbox`` must not be given), so that a page has to break out of Chromium's sandbox
first and then out of this one. What the browser may reach is what stands at its gate, nothing else.

For Playwright: an executable script that execs ``browser_command(Job(argv=(CHROMIUM, *sys.argv[1:]), gate=…))`` as
``executable_path``, ``chromium_sandbox=True``, and a gate whose socket everybody may write (mode 0666, in a private
folder): the browser runs as a user of its own. Its folders below /tmp are inside, in memory, gone with it. Four
gigabytes (``memory_mb=4096``) serve well.
"""

import fcntl
import os

from homespun.errors import SandboxError
from homespun.sandbox.jail import system
from homespun.sandbox.jail.command import binary, mounted, namespaces, unprivileged
from homespun.sandbox.jail.plan import listed
from homespun.sandbox.jail.types import Job
from homespun.sandbox.seccomp import browser_filter

CHROMIUM = "/usr/lib/chromium/chromium"
"""The program itself; Debian's /usr/bin/chromium is a script around it."""
USER = 61_999
"""Its user outside, when we are root: outside of the range of the jobs'."""
FIRST_FD = 64
"""Above what a caller hands through."""


def browser_command(job: Job) -> list[str]:
    """The command line that runs ``job`` as a browser; exec it in this process, it names a descriptor of ours.

    Of the job's bounds only ``memory_mb`` (data of any one process) and ``disk_mb`` hold.

    Raises:
        SandboxError: bubblewrap or libseccomp is not installed, or the job's gate does not lead out.
    """
    if job.gate is not None and job.gate.direction != "out":
        raise SandboxError("a browser's gate leads out, not in", "sandbox")
    arguments = [*namespaces(USER), *mounted(job, USER, _kept), "--seccomp", _kept(browser_filter())]
    number = _kept(listed(arguments))
    limits = ("/usr/bin/prlimit", "--core=0", f"--data={job.bounds.memory_mb << 20}", "--")
    return [binary(), "--args", number, "--", *unprivileged(USER), *limits, *system.entry(job)]


def _kept(content: bytes) -> str:
    """The number of a descriptor that outlives exec, for bwrap to read ``content`` from."""
    number = os.memfd_create("homespun")
    os.write(number, content)
    os.lseek(number, 0, os.SEEK_SET)
    kept = fcntl.fcntl(number, fcntl.F_DUPFD, FIRST_FD)
    os.close(number)
    return str(kept)
