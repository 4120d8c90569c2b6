"""Why a movie is recommended: what each rating of the person contributes to its score."""

from utils.data.movies import spoken
from utils.data.ratings import given

MOST = 2  # ratings named in a sentence


def effects(scores):
    """(k, m): how much each of k ratings adds to the scores of m movies. scores: (k + 1, m), those for the row itself
    and then for the row without each one rating (`Rows.without_each`)."""
    return scores[:1] - scores[1:]


def because(movies, rows, effect, scale):
    """What each rating of the one row of `Rows` adds to one movie's score, most first, as plain values for --json.
    effect: (k,), a column of `effects`. scale: (lowest, highest) stars."""
    order, stars = (-effect).argsort(kind="stable"), given(rows.stars[0], scale)
    return [
        {
            "movieId": movies.ids[movie].item(),
            "title": movies.titles[movie],
            "rating": float(rating),
            "effect": float(value),
        }
        for movie, rating, value in zip(rows.movies[order], stars[order], effect[order], strict=True)
    ]


def sentence(item):
    """The reasons for one item in words."""
    speaking = [one for one in item["because"][:MOST] if one["effect"] > 0]
    said = " and ".join(f"{spoken(one['title'])} {one['rating']:g}" for one in speaking)
    said = f"because you gave {said}" if said else "no single rating of yours speaks for it"
    if item.get("nearest"):
        said += f"; {item['liked_by_nearest']} of your {item['nearest']} nearest liked it"
    return said
