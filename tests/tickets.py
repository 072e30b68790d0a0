"""Support tickets to route: subject and body from templates, with typos and words that distract.

Two of the five queues show in the other columns, three only in the text.
"""

from collections.abc import Sequence

import numpy as np

QUEUES = ("billing", "access", "network", "hardware", "sales")
LABEL = "queue"

# Words that belong to a queue; some belong to two.
_WORDS: dict[str, Sequence[str]] = {
    queue: words.split()
    for queue, words in {
        "billing": "invoice refund charge charged payment receipt twice card amount due tax credit "
        "balance overcharged subscription statement account cancel",
        "access": "password login locked reset account token permission denied username sign "
        "authenticator expired session access admin role card",
        "network": "vpn connection timeout slow latency wifi router packet dropped offline outage "
        "dns proxy disconnects bandwidth gateway access session",
        "hardware": "laptop screen keyboard battery charger printer dock monitor broken "
        "replacement fan noise cable overheats slow router",
        "sales": "quote upgrade licence seats pricing demo plan contract renewal discount offer "
        "trial subscription invoice team",
    }.items()
}
_SUBJECTS = (
    "Problem with {0}",
    "{0} {1}",
    "Question about {0} and {1}",
    "URGENT: {0} again",
    "Help needed: {0}",
    "{0} issue since {day}",
    "Re: {0} / {1}",
)
_SENTENCES = (
    "Since {day} I have had trouble with the {0} and the {1}.",
    "Could you please look into the {0}?",
    "We tried the {0} {number} times but the {1} still does not work as expected.",
    "Our {0} shows a message about the {1}, see https://status.example.com/{number}",
    "The {0} was fine before, now there is a {1}.",
    "My colleague {name} has the same {0}.",
    "I need the {0} for a meeting on {day}!",
)
_FILLERS = (
    "Hello team,",
    "Thanks in advance.",
    "Please call me back at extension {number}.",
    "I am working from home today.",
    "This is the second time I write about it.",
    "You can reach me at {name}@example.com.",
    "Kind regards, {name}",
    "I already restarted everything and read the documentation.",
    "Let me know if you need a screenshot.",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "yesterday", "last week")
_NAMES = ("anna", "ben", "carla", "dmitri", "emeka", "fatima", "goran", "hiro", "ines", "jonas")


def tickets(rows: int = 3_000, seed: int = 0) -> dict[str, list[str | int]]:
    """Return a table of tickets, as lists by column.

    Example:
        >>> table = tickets(rows=4)
        >>> list(table)
        ['subject', 'body', 'channel', 'seats', 'queue']
    """
    random = np.random.default_rng(seed)
    table: dict[str, list[str | int]] = {
        name: [] for name in ("subject", "body", "channel", "seats", LABEL)
    }
    for queue in random.choice(QUEUES, rows, p=[0.3, 0.25, 0.2, 0.15, 0.1]):
        table["subject"].append(_written(random, queue, [random.choice(_SUBJECTS)]))
        table["body"].append(_written(random, queue, _body(random)))
        # Half of the hardware tickets come from the shop floor, most of sales from large teams.
        at_desk = queue == "hardware" and random.random() < 0.5
        table["channel"].append("desk" if at_desk else str(random.choice(["mail", "web", "phone"])))
        table["seats"].append(int(random.poisson(60 if queue == "sales" else 20)))
        table[LABEL].append(str(queue))
    return table


def _body(random: np.random.Generator) -> list[str]:
    sentences = [str(one) for one in random.choice(_SENTENCES, random.integers(1, 4))]
    fillers = [str(one) for one in random.choice(_FILLERS, random.integers(1, 4))]
    return list(random.permutation(sentences + fillers))


def _written(random: np.random.Generator, queue: str, templates: Sequence[str]) -> str:
    text = " ".join(
        str(template).format(
            *(_word(random, queue) for _ in range(2)),
            day=random.choice(_DAYS),
            name=random.choice(_NAMES),
            number=random.integers(2, 500),
        )
        for template in templates
    )
    return _with_typos(random, text)


def _word(random: np.random.Generator, queue: str) -> str:
    # Every third word is about something else.
    about = queue if random.random() < 0.67 else str(random.choice(QUEUES))
    return str(random.choice(_WORDS[about]))


def _with_typos(random: np.random.Generator, text: str) -> str:
    letters = list(text)
    for place in np.flatnonzero(random.random(len(letters)) < 0.01):
        if letters[place].isalpha() and place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)
