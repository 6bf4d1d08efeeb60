"""⑥ The command line: `sondage …`. A thin shell over `sondage.client`; `docs/guides/command-line.md` explains it.

Exit codes: 0 done, 1 a job failed or was aborted, 2 wrong usage or input, 3 no such thing, 4 conflict or forbidden,
5 no server, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_PACKAGES = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's arguments when none are given. Returns the exit code."""
    try:
        from sondage.cli.app import run
    except ModuleNotFoundError as missing:
        if missing.name not in _PACKAGES:
            raise
        sys.stderr.write("The command line needs some more packages: pip install 'sondage[cli]'\n")
        return 2
    return run(sys.argv[1:] if arguments is None else arguments)
