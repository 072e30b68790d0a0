"""The merchants: their names and what they sell."""

from dataclasses import dataclass

import numpy as np

from kfp_tabular.pipelines.sample_data.draws import Draws, Floats, Integers


@dataclass(frozen=True)
class Category:
    """What a merchant sells, and how people pay for it.

    Attributes:
        name: As in the data.
        frequency: How often people buy it, relative to the other categories.
        typical_amount: Median of the amounts, in euro.
        spread: Standard deviation of the amounts' natural logarithm.
        online_share: Share of the payments made online.
        risk: Added to the logarithm of the odds of fraud.
        shops: What such a merchant calls itself.
    """

    name: str
    frequency: float
    typical_amount: float
    spread: float
    online_share: float
    risk: float
    shops: tuple[str, ...]


CATEGORIES = (
    Category(
        "groceries", 1.0, 34, 0.7, 0.08, -0.7, ("Market", "Bakery", "Épicerie", "Delikatessen")
    ),
    Category(
        "restaurants", 0.8, 26, 0.6, 0.12, -0.5, ("Café", "Diner", "Trattoria", "寿司", "Grill")
    ),
    Category("fuel", 0.4, 48, 0.4, 0.01, -0.3, ("Petrol", "Tankstelle", "Gas & Go")),
    Category("transport", 0.5, 9, 0.8, 0.35, -0.4, ("Taxi", "Metro", "Bus Lines")),
    Category("clothing", 0.35, 55, 0.7, 0.45, 0.0, ("Fashion", "Shoes", "Tailor", "Skład Odzieży")),
    Category("electronics", 0.2, 160, 0.9, 0.55, 0.7, ("Electronics", "Computers", "Elektronik")),
    Category("pharmacy", 0.3, 17, 0.6, 0.15, -0.6, ("Pharmacy", "Apotheke", "Farmácia")),
    Category("travel", 0.08, 260, 0.8, 0.75, 0.3, ("Travel", "Hotel", "Airlines", "Reisebüro")),
    Category("entertainment", 0.3, 22, 0.7, 0.5, -0.1, ("Cinema", "Theatre", "Games", "Кино")),
    Category(
        "digital_goods", 0.35, 13, 0.9, 1.0, 0.9, ("Streaming", "Apps", "Cloud", "Gift Cards")
    ),
    Category("jewellery", 0.04, 190, 0.9, 0.25, 0.8, ("Jewellers", "Watches", "Bijouterie")),
    Category(
        "home_and_garden", 0.15, 62, 0.8, 0.3, -0.1, ("Garden", "Furniture", "Hardware", "Möbel")
    ),
)

_OWNERS = (
    "Smith", "Müller", "García", "Nguyễn", "Rossi", "Kowalski", "O'Brien", "Dubois", "Jönsson",
    "Łukasz", "Yilmaz", "Sørensen", "Иванов", "田中", "김", "Papadopoulos", "van den Berg", "Čapek",
    "Silva", "Haddad", "Okafor", "Singh", "MacLeod", "Şahin", "Núñez", "Weiß",
)  # fmt: skip
_PLACES = (
    "Berlin", "Kraków", "São Paulo", "Zürich", "Málaga", "Orléans", "Dublin", "Århus", "大阪",
    "Αθήνα", "İzmir", "Lagos", "Pune", "Québec", "Gdańsk", "Reykjavík", "Porto", "Brno",
)  # fmt: skip
_EPITHETS = ("The Corner", "Golden", "Old Town", "24/7", "Royal", "Little")

# Commas and quotes are there on purpose: a CSV reader that splits on commas fails at once.
_PATTERNS = (
    "{owner} {shop}",
    "{shop} {place}",
    "{owner}, {partner} & Co. {shop}",
    '{owner} "{epithet}" {shop}',
    "{epithet} {shop}, {place}",
    '{shop} "{owner}, {partner} & Sons"',
)

_COUNT = 2400
# Zipf's law: the frequency falls with a power of the rank, near the inverse. A few chains take a
# large share, and most merchants have a handful of payments.
_ZIPF_EXPONENT = 0.9
_CATALOGUE_SEED = 20240101


@dataclass(frozen=True)
class Merchants:
    """All merchants.

    Attributes:
        names: Each merchant's name, no two alike.
        category: Index into `CATEGORIES`, shape `[merchants]`.
        weight: How often it is paid, relative to the others, shape `[merchants]`.
        risk: Added to the logarithm of the odds of fraud, shape `[merchants]`.
    """

    names: tuple[str, ...]
    category: Integers
    weight: Floats
    risk: Floats


def merchants() -> Merchants:
    """Make the merchants; they are the same for every seed of the data.

    Example:
        >>> catalog = merchants()
        >>> len(catalog.names), CATEGORIES[catalog.category[0]].name
        (2400, 'travel')
    """
    draws = Draws(_CATALOGUE_SEED)
    category = draws.choice(np.ones(len(CATEGORIES)), _COUNT)
    names: dict[str, None] = {}
    for index in category:
        name = _name(CATEGORIES[index].shops, draws)
        # A chain numbers its branches.
        branch = 2
        while name in names:
            name = f"{name.rsplit(' #', 1)[0]} #{branch}"
            branch += 1
        names[name] = None
    rank = np.arange(1, _COUNT + 1, dtype=np.float64)
    return Merchants(
        names=tuple(names),
        category=category,
        weight=rank**-_ZIPF_EXPONENT * np.array([kind.frequency for kind in CATEGORIES])[category],
        risk=0.5 * draws.normal(_COUNT),
    )


def _name(shops: tuple[str, ...], draws: Draws) -> str:
    pattern, shop, owner, partner, place, epithet = (
        options[int(share * len(options))]
        for options, share in zip(
            (_PATTERNS, shops, _OWNERS, _OWNERS, _PLACES, _EPITHETS), draws.uniform(6), strict=True
        )
    )
    return pattern.format(shop=shop, owner=owner, partner=partner, place=place, epithet=epithet)
