"""Parts of tests that run in a process of their own."""

import os
from collections.abc import Callable

from kfp_tabular.components.common.errors import UserError

USER = 54321
"""Belongs to no account, like the user of a pod."""


def refusal(act: Callable[[], object], user: int = USER, group: int = USER) -> str:
    """Return the message of the user error that a function raises where root's rights are gone.

    Args:
        act: The function; it runs in a child process.
        user: The child's user id, where this process is root; else it keeps this process's.
        group: Its only group id.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(group)
                os.setuid(user)
            act()
            code = 0
        except UserError as error:
            os.write(writing, str(error).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        message = stream.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "another exception than a user error"
    return message
