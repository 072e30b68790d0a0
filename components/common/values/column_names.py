"""What the words in a column's name suggest about its values."""

import re

_WORDS = re.compile(r"[^\W\d_](?:(?<=[A-ZÀ-Þ])[A-ZÀ-Þ]*(?![a-zß-ÿ])|[a-zß-ÿ]*)|[0-9]+")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_IDENTIFIERS = _set(
    """
    account acct card client customer customers device ean employee gtin guest guid hash
    household iban id identifier ids imei isbn key kunde machine member merchant msisdn
    passenger patient person pk policy recno record ref reference row rowid rownum serial sku
    ssn student subject subscriber supplier ticket token user uuid vehicle vendor vin
    """
)
_ENTITIES = _IDENTIFIERS | _set(
    """
    booking case contract cust driver host house invoice item konto kunden listing loan order
    part payment phone product request seller sensor session shipment tracking trans transaction
    trip visit visitor
    """
)
_COUNTERS = ("id", "no", "nr", "nummer", "num", "number", "index", "idx")
_CODES = _set(
    """
    branch cat category channel class code color colour country county department dept
    district division fips gender group hs icd kind make model naics pclass plz postal postcode
    race region sector segment sex sic species state status store subclass tract type zip
    zipcode zone
    """
)
_CODE_PAIRS = (["community", "area"], ["service", "area"], ["metro", "area"])
_CODE_ENDINGS = ("class", "code", "type", "zone", "zip")
_QUANTITIES = _set(
    """
    age amount amt average avg balance bytes capacity cnt cost count date day dayofweek days
    depth distance duration elapsed fare frequency height hour hours income kilometers km lat
    latitude length level limit lon longitude margin max mean median mileage miles min minute
    minutes month months num population power premium price qty quantity quarter rank rate
    rating ratio revenue salary sales score second seconds share size speed sqft sum surface
    temperature tenure time total units value volume wage week weekday weeks weight width year
    years yr
    """
)


def words(name: str) -> list[str]:
    """Return the words of a name in lower case; digits are words of their own.

    Example:
        >>> words("customerID"), words("zip_code2"), words("Straßen-Nr.")
        (['customer', 'id'], ['zip', 'code', '2'], ['straßen', 'nr'])
    """
    return [word.lower() for word in _WORDS.findall(name)]


def suggests_identifier(name: str) -> bool:
    """Return whether a name suggests identifiers of rows, customers, orders and the like.

    Example:
        >>> names = ["customer_id", "userid", "orderNo", "account", "account_balance", "paid"]
        >>> [name for name in names if suggests_identifier(name)]
        ['customer_id', 'userid', 'orderNo', 'account']
    """
    found = _nouns(name)
    if not found or found[-1] in _QUANTITIES:
        return False
    last = found[-1]
    if last in _COUNTERS[1:]:
        return last == "index" if len(found) == 1 else found[-2] in _ENTITIES
    glued = [last.removesuffix(ending) for ending in _COUNTERS if last.endswith(ending)]
    return (
        last in _IDENTIFIERS
        or found[0] in ("id", "uuid", "guid")
        or any(entity in _ENTITIES for entity in glued)
    )


def counts_rows(name: str) -> bool:
    """Return whether a name suggests the number of a row, perhaps within a group.

    Example:
        >>> [name for name in ["index", "row", "customer_id", "order_no"] if counts_rows(name)]
        ['index', 'row']
    """
    found = _nouns(name)
    return bool(found) and found[-1] in ("index", "idx", "row", "rownum", "record", "recno")


def suggests_code(name: str) -> bool:
    """Return whether a name suggests that numbers are codes without an order.

    Example:
        >>> [name for name in ["MSSubClass", "zip", "type", "age", "units"] if suggests_code(name)]
        ['MSSubClass', 'zip', 'type']
    """
    found = _nouns(name)
    if not found or found[-1] in _QUANTITIES:
        return False
    coded = _CODES.intersection((found[0], found[-1])) or found[-1].endswith(_CODE_ENDINGS)
    return bool(coded) or found[-2:] in _CODE_PAIRS or suggests_identifier(name)


def suggests_quantity(name: str) -> bool:
    """Return whether a name suggests a quantity, or a part of a date.

    Example:
        >>> suggests_quantity("num_rooms"), suggests_quantity("account_balance")
        (True, True)
    """
    found = _nouns(name)
    return bool(found) and bool(_QUANTITIES.intersection((found[0], found[-1])))


def _nouns(name: str) -> list[str]:
    """Return the words without trailing numbers: `code 2` is a code."""
    found = words(name)
    while len(found) > 1 and found[-1].isdigit():
        found.pop()
    return found
