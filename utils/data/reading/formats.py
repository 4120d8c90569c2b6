"""What rating files look like: how their columns are spelled, and the published formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from utils.data.ratings import Scale

Spellings: TypeAlias = dict[str, tuple[str, ...]]  # {name of a column: how files spell it, without case and signs}

DATES = ("date", "ratingdate", "datetime", "ratedat", "createdat")  # used where they are dates
TIMES = ("timestamp", "time", "ts", "tstamp", "unixtime", "unixreviewtime")
SPELLINGS: Spellings = {
    "userId": ("userid", "user", "uid", "reviewerid", "customerid", "custid", "memberid"),
    "movieId": (
        *("movieid", "movie", "itemid", "item", "iid", "filmid", "film", "productid"),
        *("parentasin", "asin", "isbn", "jokeid", "bookid"),
    ),
    "rating": ("rating", "ratings", "stars", "star", "score", "grade", "overall", "bookrating", "ratingval"),
    "timestamp": (*TIMES, *DATES),
}
SHARDS = "shards.json"  # in a folder of shards, see `utils.distributed.shards`
NEEDED = ("userId", "movieId", "rating")
ORDER = tuple(SPELLINGS)
SWAPPED = ("movieId", "userId", "rating", "timestamp")
SEPARATORS = ("::", "\t\t", "\t", ",", ";", "|")
ENDINGS_100K = (".data", ".base", ".test")  # of u.data and of the folds published with it
ASIN = r"(\d{9}[\dX]|B[A-Z\d]{9})"


@dataclass(frozen=True)
class Format:
    """A published format of ratings, known by its first line.

    sign: matches that line whole. columns: of a file without a heading, in order; "" is one that is not used.
    scale: of the stars; found from the ratings where None. zeros: why lines with a rating of 0 are left out; empty
    where they are not. about: a sentence for the user. beside: name of the table of movies. text_ids: columns of ids
    that are text even where most are digits. may_be_latin: whether some files are in latin-1. refused: why such a file
    can't be read, and what would do."""

    name: str
    sign: str
    columns: tuple[str, ...] = ()
    scale: Scale | None = None
    zeros: str = ""
    about: str = ""
    beside: str = "movies.csv"
    may_be_latin: bool = False
    text_ids: tuple[str, ...] = ()
    refused: str = ""


PLAIN = Format("", "")
FORMATS = (
    Format("MovieTweetings", r"\d+::\d{7,8}::\d+::\d{9,}", ORDER, scale=(0, 10), beside="movies.dat"),
    Format("Amazon's reviews (2014)", rf"A[A-Z\d]{{9,}},{ASIN},\d(\.\d)?,\d{{9,}}", ORDER, text_ids=("movieId",)),
    Format("Amazon's reviews (2018)", rf"{ASIN},A[A-Z\d]{{9,}},\d(\.\d)?,\d{{9,}}", SWAPPED, text_ids=("movieId",)),
    Format("Amazon's reviews (2018)", r"asin,.*|reviewerID,asin,.*", text_ids=("movieId",)),
    Format("Amazon's reviews (2023)", r"user_id,parent_asin,rating,timestamp.*", text_ids=("movieId",)),
    Format("Amazon's reviews", r'\{.*"asin".*', text_ids=("movieId",)),
    Format(
        "Amazon's reviews (2014) as Python writes them",
        r"\{'.*",
        refused="not JSON; take the table of ratings only, or write json.dumps(ast.literal_eval(line)) of each line",
    ),
    Format(
        "Book-Crossing",
        r'"?User-ID"?[;,]"?ISBN"?[;,]"?(Book-)?Rating"?',
        scale=(1, 10),
        zeros="that say 0, which is no rating there",
        beside="BX-Books.csv",
        text_ids=("movieId",),
        may_be_latin=True,
    ),
    Format("the Netflix Prize", r"\d+:", ("userId", "movieId", "rating", "timestamp"), beside="movie_titles.csv"),
    Format(
        "Yahoo! Movies",
        r"\d+\t18\d{8}\t(1[0-3]|\d)\t[1-5]",
        (*NEEDED, ""),
        scale=(1, 13),
        about="the 4th column, the same stars on a scale of 1 to 5, is not used: as times it would be of 1970",
    ),
    Format("RecBole", r"user_id:token\t.*"),
    Format(
        "Jester",
        r"\d+((, ?-?(\d+(\.\d*)?|\.\d+)){20,}|([\t;] ?-?(\d+([.,]\d*)?|[.,]\d+)){20,})",
        NEEDED,
        scale=(-10, 10),
        about="users are called by their lines and jokes by their columns; 99 is no rating",
    ),
)
