"""A trial's command line, on its way through Katib and Kubernetes to the training program.

Katib joins the container's words with spaces and hands them to `sh -c`, with what watches the
trial appended; nothing is quoted. Only the pod that reports gets this. But where the container's
command is `sh -c` already, Katib keeps it and appends to the script alone (Katib 0.19,
`pkg/webhook/v1beta1/pod/utils.go`). So the command is one, with every word quoted: all pods of a
trial read the same words, whatever is in them.
"""

import re
import shlex
from collections.abc import Sequence

_PLACEHOLDER = "${trialParameters.%s}"
_KATIB = re.compile(r"\$\{trial(Parameters|Spec)\.")
_USED = re.compile(r"\$\{trialParameters\.(.+?)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SEARCHED_VALUE = re.compile(r"[A-Za-z0-9_.,:/=@%+-]+")
"""What a value that Katib chooses may look like.

It is put into the resource's JSON and into the script as it is. Quotes around it would not help
against quotes in it.
"""


def placeholder(name: str) -> str:
    """Gives what Katib replaces with a trial's value of a parameter."""
    return _PLACEHOLDER % name


def used_placeholders(text: str) -> set[str]:
    """Finds the parameters whose placeholders a text holds, as Katib looks for them."""
    return set(_USED.findall(text))


def problem(word: str) -> str:
    """Tells why a word of a command line does not reach the program; empty where it does.

    Args:
        word: A word without placeholders.
    """
    if _KATIB.search(word):
        return "holds a placeholder of Katib; give the value itself"
    if _CONTROL.search(word):
        return "holds a line break or another control character"
    return ""


def script(words: Sequence[str], searched: Sequence[str] = ()) -> list[str]:
    """Gives the command of a trial's container.

    Args:
        words: The program and its arguments, each free of `problem`.
        searched: Arguments with placeholders, which are taken as they are.
    """
    # Kubernetes reads $(NAME) in a command, and $$ as one dollar sign.
    fixed = [shlex.quote(word).replace("$", "$$") for word in words]
    return ["sh", "-c", " ".join([*fixed, *searched])]
