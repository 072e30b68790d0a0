"""The command of a trial's container, in a form that Katib and Kubernetes pass on unchanged.

In the pod that reports, Katib joins the container's command and arguments with spaces, without
quoting, appends a part that watches the trial, and runs the result with `sh -c`. If the command is
already `sh -c`, Katib keeps it and only appends to the script (Katib 0.19,
`pkg/webhook/v1beta1/pod/utils.go`). Therefore the command is `sh -c` with every word quoted: all
pods of a trial get the same words, whatever they contain.
"""

import re
import shlex
from collections.abc import Sequence

_PLACEHOLDER = "${trialParameters.%s}"
_KATIB = re.compile(r"\$\{trial(Parameters|Spec)\.")
_USED = re.compile(r"\$\{trialParameters\.(.+?)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SEARCHED_VALUE = re.compile(r"[A-Za-z0-9_.,:/=@%+-]+")
"""The form of values that Katib may choose.

Katib inserts them into the resource's JSON and into the script as they are. Quotes around a value
would not protect quotes inside it.
"""


def placeholder(name: str) -> str:
    """Return the placeholder that Katib replaces with a trial's value of a parameter.

    Example:
        >>> placeholder("epochs")
        '${trialParameters.epochs}'
    """
    return _PLACEHOLDER % name


def used_placeholders(text: str) -> set[str]:
    """Return the parameters whose placeholders a text contains, by Katib's own pattern.

    Example:
        >>> used_placeholders("train --epochs=${trialParameters.epochs} --seed=7")
        {'epochs'}
    """
    return set(_USED.findall(text))


def problem(word: str) -> str:
    r"""Return why a word of a command line would not reach the program; empty if it would.

    Args:
        word: A word without placeholders.

    Example:
        >>> problem("--label=two\nlines")
        'contains a line break or another control character'
        >>> problem("--label=tip amount")
        ''
    """
    if _KATIB.search(word):
        return "contains a Katib placeholder; write the value itself"
    if _CONTROL.search(word):
        return "contains a line break or another control character"
    return ""


def script(words: Sequence[str], searched: Sequence[str] = ()) -> list[str]:
    """Return the command of a trial's container.

    Args:
        words: The program and its arguments, none of which has a `problem`.
        searched: Arguments with placeholders, which are not quoted.

    Example:
        >>> script(["train", "--data=/my data"], ["--epochs=${trialParameters.epochs}"])
        ['sh', '-c', "train '--data=/my data' --epochs=${trialParameters.epochs}"]
    """
    # Kubernetes expands $(NAME) in a command, and reads $$ as one dollar sign.
    fixed = [shlex.quote(word).replace("$", "$$") for word in words]
    return ["sh", "-c", " ".join([*fixed, *searched])]
