"""The tables of recommend.py, cell by cell."""

import pytest

from utils.report import tables

LOW = {"predicted_rating_low": 2.5, "predicted_rating_high": 4.6}


def item(rank, **more):
    movie = {"rank": rank, "name": f"M{rank}", "year": 1990 + rank, "genres": ["War", "Drama"], "score": 0.123456}
    return movie | more


def cells(table):
    """(headings, rows of cells) of a table."""
    return [column.header for column in table.columns], [
        list(row) for row in zip(*(column.cells for column in table.columns), strict=True)
    ]


def test_a_list_has_title_year_genres_stars_and_score():
    items = [item(1, predicted_rating=4.26, **LOW), item(2, predicted_rating=3.0, year=None)]
    table = tables.recommendations({"user": 0, "method": "decoder", "items": items})
    assert table.title == "For user 0, by decoder"
    assert cells(table) == (
        ["", "title", "year", "genres", "stars", "score"],
        [["1", "M1", "1991", "War, Drama", "4.3", "0.123"], ["2", "M2", "", "War, Drama", "3.0", "0.123"]],
    )


def test_reasons_stand_beside_the_range_of_the_stars():
    because = [{"title": "Heat (1995)", "rating": 4.5, "effect": 0.2}, {"title": "B", "rating": 1, "effect": -1}]
    items = [item(1, predicted_rating=4.26, because=because, **LOW), item(2, predicted_rating=3.0, because=because)]
    table = tables.recommendations({"user": None, "method": "decoder", "items": items})
    headings, (first, second) = cells(table)
    assert (table.title, headings[3]) == ("For you, by decoder", "why")
    assert (first[3], first[4], second[4]) == ("because you gave Heat 4.5", "4.3 (2.5 to 4.6)", "3.0")


@pytest.mark.parametrize(("unlike", "title"), [([], ""), ([{"name": "C", "year": None}], ", unlike C")])
def test_movies_like_several_and_unlike_others_are_named(unlike, title):
    like = [{"name": "A", "year": 1990}, {"name": "B", "year": 2001}]
    table = tables.recommendations({"like": like, "unlike": unlike, "items": [item(1)]})
    assert table.title == f"Like A (1990) and B (2001){title}"
    assert cells(table)[0] == ["", "title", "year", "genres", "score"]


def test_several_people_have_the_rank_and_the_stars_of_each():
    people = [{"rank": 1234.0, "score": 7.0, "predicted_rating": 4.26}, {"rank": 2.0, "score": 9.0}]
    answer = {"people": [3, "/home/x/b.csv", "c.csv"], "method": "decoder", "join": "fair"}
    table = tables.recommendations(answer | {"items": [item(1, people=[*people, people[1]])]})
    assert table.title == "For 3, b.csv and c.csv, by decoder, fair; of each the rank and the stars"
    assert cells(table) == (
        ["", "title", "year", "3", "b.csv", "c.csv"],
        [["1", "M1", "1991", "1,234 (4.3)", "2", "2"]],
    )


def test_users_near_one_say_what_they_share():
    both = [{"name": name} for name in "ABCDE"]
    answer = {"user": 7, "items": [{"rank": 1, "user": 9, "cosine": 0.987, "both_rated": 12, "both_like": both}]}
    table = tables.similar_users(answer)
    assert (table.title, cells(table)[1]) == (
        "Near user 7 in latent space",
        [["1", "9", "0.99", "12", "A, B, C and 2 more"]],
    )


def test_control_characters_are_no_text():
    assert tables.plain("Amélie\x1b[31m 日本\n") == "Amélie [31m 日本 "
