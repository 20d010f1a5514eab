"""The reference page of healing says what the rules say."""

from scripts.healing_page import PAGE, filled


def test_the_page_has_the_rules_of_now() -> None:
    page = PAGE.read_text()
    assert filled(page) == page, "python -m scripts.healing_page"
