"""Imitations of well-known tables, with the quirks for which they are known."""

import datetime
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.real_tables.case import case
from tests.benchmarks.real_tables.outcome import (
    auc,
    blessed,
    classes,
    column,
    feature,
    metric,
    rows,
    says,
    succeeds,
)
from tests.cases import Table, spoil, write_csv

ROWS = 3_000


def _table(rows: int, row: Callable[[random.Random, int], dict[str, Any]], seed: int) -> Table:
    chance = random.Random(seed)
    found = [row(chance, number) for number in range(rows)]
    return {name: [entry[name] for entry in found] for name in found[0]}


def _yes(chance: random.Random, score: float) -> bool:
    return chance.random() < 1 / (1 + math.exp(-score))


@case(
    succeeds,
    auc(0.8),
    rows(ROWS),
    column("TotalCharges", "number"),
    feature("TotalCharges", "numeric"),
    feature("customerID", "dropped"),
    feature("tenure", "numeric"),
    classes("No", "Yes"),
    label="Churn",
)
def telephone_customers(folder: Path) -> Path:
    """Blanks in a column of numbers, 0 and 1 beside Yes and No, identifiers with dashes."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        tenure, charge = chance.randint(0, 72), round(chance.uniform(18, 118), 2)
        senior = int(chance.random() < 0.16)
        contract = chance.choice(["Month-to-month", "One year", "Two year"])
        score = (
            1.0 - tenure / 18 + charge / 60 + senior * 0.5 - 1.5 * (contract != "Month-to-month")
        )
        letters = "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=5))
        return {
            "customerID": f"{number:04d}-{letters}",
            "SeniorCitizen": senior,
            "Partner": chance.choice(["Yes", "No"]),
            "tenure": tenure,
            "MultipleLines": chance.choice(["No phone service", "No", "Yes"]),
            "Contract": contract,
            "MonthlyCharges": charge,
            "TotalCharges": f"{tenure * charge:.2f}" if tenure else " ",
            "Churn": "Yes" if _yes(chance, score - 1) else "No",
        }

    return write_csv(folder / "telco.csv", _table(ROWS, row, 31))


@case(
    succeeds,
    auc(0.75),
    rows(ROWS),
    column("column_1", "integer"),
    says("header"),
    label="column_5",
)
def census_income(folder: Path) -> Path:
    """No header, a blank after each comma, `?` for missing categories, labels with signs."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        age, hours = chance.randint(17, 90), chance.randint(1, 99)
        work = chance.choices(["Private", "State-gov", "?"], [0.8, 0.14, 0.06])[0]
        education = chance.choice(["Bachelors", "HS-grad", "11th", "Masters", "7th-8th"])
        score = (age - 40) / 15 + (hours - 40) / 15 + 2 * (education in ("Bachelors", "Masters"))
        label = ">50K" if _yes(chance, score - 2) else "<=50K"
        return {"a": age, "b": f" {work}", "c": f" {education}", "d": f" {hours}", "e": f" {label}"}

    return write_csv(folder / "adult.data", _table(ROWS, row, 32), header=False)


@case(
    succeeds,
    metric("r2", 0.6, 1),
    rows(ROWS),
    column("horsepower", "integer|number"),
    feature("horsepower", "numeric"),
    says("horsepower", "missing"),
    label="mpg",
)
def cars(folder: Path) -> Path:
    """`?` in a column of numbers, few cylinders, names that are almost unique."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        cylinders = chance.choice([3, 4, 5, 6, 8])
        power = round(cylinders * 18 + chance.gauss(0, 12))
        weight = round(1_500 + cylinders * 300 + chance.gauss(0, 250))
        return {
            "mpg": round(50 - weight / 130 - power / 25 + chance.gauss(0, 2), 1),
            "cylinders": cylinders,
            "horsepower": power,
            "weight": weight,
            "model year": chance.randint(70, 82),
            "origin": chance.randint(1, 3),
            "car name": f"{chance.choice(['ford', 'fiat', 'amc'])} model {number % 900}",
        }

    table = _table(ROWS, row, 33)
    table["horsepower"] = spoil(table["horsepower"], {"?": 6 / 398})
    return write_csv(folder / "auto-mpg.csv", table)


@case(
    succeeds,
    auc(0.7),
    column("checking", "text"),
    feature("checking", "categorical"),
    column("employment", "text"),
    classes("good", "bad"),
    label="class",
)
def credit(folder: Path) -> Path:
    """Ranges that are categories, and a column that is called `class`."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        checking = chance.choice(["<0", "0<=X<200", ">=200", "no checking"])
        duration = chance.choice([6, 12, 18, 24, 36, 48])
        score = 1.5 * (checking == "<0") + duration / 15 - 3
        return {
            "checking": checking,
            "duration": duration,
            "employment": chance.choice(["<1", "1<=X<4", "4<=X<7", ">=7", "unemployed"]),
            "purpose": chance.choice(["radio/tv", "new car", "used car", "education"]),
            "credit amount": round(chance.lognormvariate(8, 0.7)),
            "class": "bad" if _yes(chance, score) else "good",
        }

    return write_csv(folder / "credit-g.csv", _table(ROWS, row, 34))


@case(
    succeeds,
    auc(0.75),
    rows(ROWS),
    column("age", "integer"),
    column("job", "text"),
    feature("job", "categorical"),
    feature("pdays", "numeric|categorical"),
    classes("no", "yes"),
    label="y",
)
def bank_marketing(folder: Path) -> Path:
    """Semicolons, quotes around texts only, `unknown` as a frequent category, -1 for never."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        balance, duration = round(chance.gauss(1_300, 2_000)), round(chance.expovariate(1 / 250))
        job = chance.choices(["admin.", "blue-collar", "unknown", "retired"], [4, 4, 2, 1])[0]
        return {
            "age": chance.randint(18, 95),
            "job": f'"{job}"',
            "balance": balance,
            "month": f'"{chance.choice(["may", "jun", "nov"])}"',
            "duration": duration,
            "pdays": chance.choice([-1, -1, -1, chance.randint(1, 300)]),
            "y": '"yes"' if _yes(chance, duration / 150 - 3.5 + (job == "retired")) else '"no"',
        }

    return write_csv(folder / "bank.csv", _table(ROWS, row, 35), delimiter=";", quote="")


@case(
    succeeds,
    metric("r2", 0.5, 1),
    column("Price", "number"),
    column("Reviews", "integer|number"),
    column("Current Ver", "text"),
    column("Last Updated", "time"),
    feature("Last Updated", "timestamp"),
    label="Rating",
)
def applications(folder: Path) -> Path:
    """`1,000+`, `$4.99`, `19M` beside `Varies with device`, version numbers, `January 7, 2018`."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        installs = chance.choice([1_000, 5_000, 10_000, 100_000, 1_000_000])
        reviews = round(installs * chance.uniform(0.01, 0.1))
        day = datetime.date(2016, 1, 1) + datetime.timedelta(days=chance.randrange(1_000))
        price = chance.choice([0, 0, 0, 0.99, 4.99])
        rating = 2.2 + 0.3 * math.log10(reviews + 1) + 0.1 * price + chance.gauss(0, 0.1)
        return {
            "App": f"{chance.choice(['Photo', 'Chess', 'Radio'])} {number}",
            "Rating": round(min(rating, 5), 2),
            "Reviews": reviews,
            "Size": chance.choice(["19M", "8.7M", "201k", "Varies with device"]),
            "Installs": f"{installs:,}+",
            "Price": f"${price}" if price else "0",
            "Current Ver": f"{chance.randint(1, 9)}.{chance.randint(0, 12)}",
            "Last Updated": f"{day:%B} {day.day}, {day.year}",
        }

    return write_csv(folder / "googleplaystore.csv", _table(ROWS, row, 36))


@case(
    succeeds,
    auc(0.75),
    column("int_rate", "number"),
    feature("int_rate", "numeric"),
    column("issue_d", "text"),
    column("term", "text"),
    column("emp_length", "text"),
    classes("Fully Paid", "Charged Off"),
    label="loan_status",
)
def loans(folder: Path) -> Path:
    """`10.65%`, ` 36 months`, `10+ years`, `Jan-15`."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        rate, income = chance.uniform(5, 28), round(chance.lognormvariate(11, 0.5))
        month = datetime.date(2012 + chance.randrange(6), chance.randint(1, 12), 1)
        return {
            "id": 1_077_501 + 13 * number,
            "term": chance.choice([" 36 months", " 60 months"]),
            "int_rate": f"{rate:.2f}%",
            "emp_length": chance.choice(["< 1 year", "1 year", "5 years", "10+ years", "n/a"]),
            "annual_inc": income,
            "issue_d": month.strftime("%b-%y"),
            "loan_status": (
                "Charged Off" if _yes(chance, (rate - 19) / 3 - income / 1e5) else "Fully Paid"
            ),
        }

    return write_csv(folder / "loans.csv", _table(ROWS, row, 37))


@case(
    succeeds,
    metric("r2", 0.5, 1),
    rows(ROWS),
    column("Preis", "integer|number"),
    says("Preis", "thousands", severity="warning|note"),
    column("Kilometer", "integer|number"),
    column("Erstzulassung", "text"),
    label="Preis",
)
def used_cars_in_germany(folder: Path) -> Path:
    """Semicolons, cp1252, `12.500 €`, `150.000 km`, `03/2015`, umlauts in names."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        distance, year = round(chance.uniform(1_000, 250_000)), chance.randint(2005, 2023)
        price = 45_000 * 0.9 ** (2024 - year) - distance / 20 + chance.gauss(12_000, 800)
        return {
            "Modell": chance.choice(["Käfer", "Golf", "Citroën C3"]),
            "Preis": f"{max(price, 500):,.0f} €".replace(",", "."),
            "Kilometer": f"{distance:,} km".replace(",", "."),
            "Erstzulassung": f"{chance.randint(1, 12):02d}/{year}",
            "Größe": f"{chance.uniform(3.5, 5):.2f}".replace(".", ","),
        }

    return write_csv(
        folder / "gebrauchtwagen.csv", _table(ROWS, row, 38), delimiter=";", encoding="cp1252"
    )


@case(
    succeeds,
    auc(0.75),
    column("Betrag", "number"),
    column("Buchungstag", "time"),
    feature("Buchungstag", "timestamp"),
    label="Betrug",
)
def bank_statement(folder: Path) -> Path:
    """Lines above the header, day-first dates, a minus behind the number."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        amount = chance.gauss(-50, 400)
        day = datetime.date(2023, 1, 1) + datetime.timedelta(days=chance.randrange(365))
        text = f"{abs(amount):,.2f}".replace(",", "#").replace(".", ",").replace("#", ".")
        return {
            "Buchungstag": day.strftime("%d.%m.%Y"),
            "Valuta": day.strftime("%d.%m.%y"),
            "Betrag": f"{text}-" if amount < 0 else text,
            "Art": chance.choice(["Lastschrift", "Überweisung", "Gehalt"]),
            "Betrug": "ja" if _yes(chance, -amount / 150 - 1.5) else "nein",
        }

    return write_csv(
        folder / "umsaetze.csv",
        _table(ROWS, row, 39),
        delimiter=";",
        quote_all=True,
        encoding="cp1252",
        before=['"Kontoauszug";"DE00 0000"', '"Zeitraum";"2023"', ""],
    )


@case(
    succeeds,
    auc(0.75),
    column("price", "number"),
    feature("price", "numeric"),
    column("host_response_rate", "number"),
    column("instant_bookable", "boolean|text"),
    column("last_review", "time"),
    label="superhost",
)
def flats(folder: Path) -> Path:
    """`$1,200.00`, `t` and `f`, `97%` with `N/A`, free text with line breaks."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        price, rate = round(chance.lognormvariate(5, 0.7), 2), chance.randint(40, 100)
        day = datetime.date(2022, 1, 1) + datetime.timedelta(days=chance.randrange(700))
        words = [
            "bright",
            "quiet",
            "central",
            "view",
            "garden",
            "metro",
            "balcony",
            "old",
            "cosy",
            "renovated",
        ]
        return {
            "id": 20_000_000 + 31 * number,
            "description": " ".join(chance.choices(words, k=12)) + ".\nSecond line, with comma",
            "host_response_rate": f"{rate}%" if chance.random() < 0.9 else "N/A",
            "price": f"${price:,.2f}",
            "instant_bookable": chance.choice("tf"),
            "latitude": round(chance.uniform(48.8, 48.9), 5),
            "last_review": day.isoformat() if chance.random() < 0.8 else "",
            "superhost": "t" if _yes(chance, (rate - 85) / 6 + price / 400) else "f",
        }

    return write_csv(folder / "listings.csv", _table(ROWS, row, 40))


@case(
    succeeds,
    auc(0.7),
    column("age", "text"),
    feature("age", "categorical"),
    feature("encounter_id", "dropped"),
    says("patient_nbr", "split_keys"),
    label="readmitted",
)
def hospital_stays(folder: Path) -> Path:
    """Ranges as categories, `?` as a category's missing value, patients with several stays."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        visits, days = chance.randint(0, 12), chance.randint(1, 14)
        return {
            "encounter_id": 2_278_392 + 17 * number,
            "patient_nbr": 8_222_157 + 101 * chance.randrange(ROWS // 3),
            "race": chance.choices(["Caucasian", "Asian", "?"], [0.8, 0.15, 0.05])[0],
            "age": f"[{10 * chance.randint(0, 9)}-{10 * chance.randint(1, 10)})",
            "time_in_hospital": days,
            "number_inpatient": visits,
            "diag_1": chance.choice(["250.83", "276", "648", "V27", "414", "428"]),
            "A1Cresult": chance.choices(["None", ">7", ">8", "Norm"], [8, 1, 1, 1])[0],
            "readmitted": "YES" if _yes(chance, visits / 3 - 2 + days / 14) else "NO",
        }

    return write_csv(folder / "diabetic_data.csv", _table(ROWS, row, 41))


@case(
    succeeds,
    metric("accuracy", 0.6, 1),
    rows(ROWS),
    column("fixed acidity", "number"),
    feature("alcohol", "numeric"),
    label="quality",
)
def wine(folder: Path) -> Path:
    """Semicolons, quoted names with blanks, whole ratings as the label."""

    def row(chance: random.Random, _: int) -> dict[str, Any]:
        alcohol, acid = round(chance.uniform(8, 14), 1), round(chance.uniform(4, 12), 1)
        quality = round(5.5 + (alcohol - 11) * 0.8 + chance.gauss(0, 0.4))
        return {
            "fixed acidity": acid,
            "alcohol": alcohol,
            "sulphates": round(chance.uniform(0.3, 1.2), 2),
            "quality": min(max(quality, 3), 8),
        }

    return write_csv(folder / "winequality.csv", _table(ROWS, row, 42), delimiter=";")


@case(
    succeeds,
    auc(0.8),
    column("timestamp", "time"),
    column("ip", "text"),
    column("duration", "text|number|time"),
    column("zip", "text"),
    column("phone", "text"),
    blessed(True),
    label="alert",
)
def access_log(folder: Path) -> Path:
    """Addresses, times of day, postcodes and telephone numbers are no numbers."""

    def row(chance: random.Random, number: int) -> dict[str, Any]:
        moment = datetime.datetime(2024, 3, 1) + datetime.timedelta(seconds=97 * number)
        size = round(chance.lognormvariate(7, 1))
        return {
            "timestamp": moment.isoformat(timespec="milliseconds") + "Z",
            "ip": ".".join(str(chance.randint(1, 254)) for _ in range(4)),
            "duration": f"{chance.randint(0, 5)}:{chance.randint(0, 59):02d}",
            "zip": f"{chance.choice([1067, 4109, 10115, 80331, 501]):05d}",
            "phone": f"+49 30 {chance.randint(1_000_000, 9_999_999)}",
            "status": chance.choice([200, 200, 200, 404, 500]),
            "bytes": size,
            "alert": int(_yes(chance, (math.log(size) - 7.5) * 2.5)),
        }

    return write_csv(folder / "access.csv", _table(ROWS, row, 43))
