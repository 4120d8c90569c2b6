"""Tables in the README, made from result files."""

from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def replace(marker, text):
    """Put `text` between <!-- marker --> and <!-- /marker --> of the README."""
    before, rest = README.read_text(encoding="utf-8").split(f"<!-- {marker} -->")
    after = rest.split(f"<!-- /{marker} -->")[1]
    README.write_text(f"{before}<!-- {marker} -->\n{text}\n<!-- /{marker} -->{after}", encoding="utf-8")
