"""Entry: the supervisor, which stops everything when the process that started it is gone.

`python -m app.local.supervisord CONFIGURATION PARENT`
"""

import os
import signal
import sys
from types import FrameType

from supervisor import supervisord

_LOOK_SECONDS = 0.5


def main() -> None:
    """Supervise until told to stop, or until the parent is no longer the process called PARENT."""
    configuration, parent = sys.argv[1], int(sys.argv[2])

    def look(_number: int, _frame: FrameType | None) -> None:
        if os.getppid() != parent:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(os.getpid(), signal.SIGTERM)

    # A timer and not a thread, because the supervisor forks; a forked child inherits no timers.
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    supervisord.main(["--nodaemon", "--configuration", configuration])


if __name__ == "__main__":
    main()
