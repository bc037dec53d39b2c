"Names and other texts in the CSV files that are written: none may run as a formula in the spreadsheet that opens them."

from pathlib import PurePosixPath

FORMULA = '=+-@\t\r'  # what begins with one of these is calculated (OWASP, CSV injection)


def is_formula(text: str) -> bool:
    "Whether a spreadsheet would take `text` for a formula."
    return text.startswith(tuple(FORMULA))


def safe_name(name: str) -> str:
    "`name`, a path, as a CSV holds it: with ./ in front, which is the same path, where it would be a formula."
    return f'./{name}' if is_formula(name) else name


def plain_name(text: str) -> str:
    "The path that `safe_name` has written, in its one spelling."
    return str(PurePosixPath(text))
