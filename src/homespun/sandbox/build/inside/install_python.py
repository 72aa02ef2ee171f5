"""Runs in the build jail: installs into a folder what the arguments want and the warm packages on the path lack.

Told first what would be added (pip counts the warm packages as installed), pip then installs just that, for a plain
install into a folder would bring every warm package again.
"""

import json
import subprocess
import sys

PIP = (
    *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir", "--only-binary", ":all:"),
    *("--disable-pip-version-check", "--no-color", "--progress-bar", "off", "--root-user-action", "ignore"),
)
REPORT = "/tmp/report.json"


def main() -> int:
    """Arguments: the index, the folder, then what is wanted."""
    index, target, *wanted = sys.argv[1:]
    source = ("--index-url", index, "--retries", "1", "--timeout", "60")
    code = subprocess.call((*PIP, *source, "--dry-run", "--report", REPORT, "--", *wanted))
    if code != 0:
        return code
    with open(REPORT) as file:
        told = [item["metadata"] for item in json.load(file)["install"]]
    if not told:
        sys.stdout.write("nothing is lacking\n")
        return 0
    pins = [f"{item['name']}=={item['version']}" for item in told]
    sys.stdout.write(f"installing {' '.join(pins)}\n")
    sys.stdout.flush()
    return subprocess.call((*PIP, *source, "--no-deps", "--target", target, "--", *pins))


if __name__ == "__main__":
    sys.exit(main())
