"""Finding a movie by what somebody types: case, accents, articles, punctuation and small typing errors forgiven."""

import re
import unicodedata

from utils.data.movies import ARTICLE, article_first, shortened
from utils.errors import UserError

SHOWN = 8  # movies listed where several fit
ALIKE = 80  # least similarity, of 100, of a title that is taken for a misspelt one
_YEAR = re.compile(r"^(.*\S)\s+\(?(\d{4})\)?$")


def key(title):
    """What two spellings of a title have in common: letters and digits, words apart, no article in front."""
    text = article_first(title.strip())
    text = unicodedata.normalize("NFKD", text.casefold().replace("&", " and ").replace("ß", "ss"))
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("'", "").replace("’", "")
    words = re.sub(r"[^\w]+|_", " ", text).split()
    if len(words) > 1 and re.fullmatch(ARTICLE, words[0]):
        words = words[1:]
    return " ".join(words)


def numbers(name):
    """The numbers in a key."""
    return re.findall(r"\d+", name)


def _begins_or_ends(name, wanted):
    return name.startswith(f"{wanted} ") or name.endswith(f" {wanted}")


def keys(title, year):
    """The keys of a MovieLens title: of the title, and of the other titles that it gives in brackets."""
    text = re.sub(rf"\s*\({year}[^)]*\)\s*$", "", title) if year else title
    names = [re.sub(r"\s*\([^)]*\)", "", text), *re.findall(r"\(([^)]*)\)", text)]
    return [found for name in names if (found := key(re.sub(r"^a\.?k\.?a\.? ", "", name.strip())))]


class Titles:
    """An index over `Movies`."""

    def __init__(self, movies):
        self.movies, self.places, self.written = movies, {}, {}
        for index, (title, year) in enumerate(zip(movies.titles, movies.years, strict=True)):
            for name in dict.fromkeys(keys(title, year)):
                self.places.setdefault(name, []).append(index)
            self.written.setdefault(title.casefold(), []).append(index)

    def find(self, text):
        """The index of the one movie that `text` names, by its title with or without the year. A `UserError` lists the
        movies where several fit, and the nearest ones where none does."""
        found = self.exactly(text) or self.beginning(key(text)) or self._alike(text)
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{text!r} fits several movies: {self._listed(found)}; add the year or more of the title")
        raise UserError(f"no movie is called {text!r}" + self._near(text))

    def exactly(self, text):
        """Movies of that very title; of that year, where the last word is one and such a movie exists."""
        if found := self.written.get(text.strip().casefold()):  # as it stands in the data
            return found
        if parts := _YEAR.match(text.strip()):
            named = [i for i in self.places.get(key(parts[1]), []) if self.movies.years[i] == int(parts[2])]
            if named:
                return named
        return self.places.get(key(text), [])

    def of(self, title, year=None):
        """Movies of that title; with a year, those of that year or else of the one before or after, so that two sources
        may differ about when a movie came out."""
        if year is None:
            return self.exactly(title)
        wanted = key(title)
        if found := self._of_year(self.places.get(wanted) or self.exactly(title), year):
            return found
        # `Star Wars` or `The Empire Strikes Back`, where the data has `Star Wars: Episode ...` with all of it
        at = {i for name, at in self.places.items() if wanted and _begins_or_ends(name, wanted) for i in at}
        return self._of_year(sorted(at), year)

    def alike(self, title, year=None):
        """The same of the title that is clearly nearest."""
        return self._of_year(self._alike(title), year)

    def _of_year(self, named, year):
        if year is None:
            return named
        for off in (0, 1):
            if at := [i for i in named if self.movies.years[i] is not None and abs(self.movies.years[i] - year) <= off]:
                return at
        return [i for i in named if self.movies.years[i] is None]

    def beginning(self, wanted):
        """Movies whose title goes on behind these words."""
        if not wanted:
            return []
        return sorted({i for name, at in self.places.items() if name.startswith(wanted + " ") for i in at})

    def _alike(self, text):
        """The movies of the title that is clearly nearest."""
        from rapidfuzz import fuzz, process

        parts = _YEAR.match(text.strip())
        for wanted, year in ((parts[1], int(parts[2])), (text, None)) if parts else ((text, None),):
            names = process.extract(key(wanted), self.places.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE, limit=None)
            names = [one for one in names if numbers(one[0]) == numbers(key(wanted))]  # Rocky 7 is no misspelt Rocky V
            at = [i for name, score, _ in names if score == names[0][1] for i in self.places[name]]
            if fits := sorted({i for i in at if year is None or self.movies.years[i] == year}):
                return fits
        return []

    def _near(self, text):
        from rapidfuzz import fuzz, process

        names = process.extract(key(text), self.places.keys(), scorer=fuzz.WRatio, score_cutoff=70, limit=3)
        return f"; did you mean {self._listed([self.places[name][0] for name, _, _ in names])}?" if names else ""

    def _listed(self, indices):
        return shortened([self.movies.titles[i] for i in indices], SHOWN)
