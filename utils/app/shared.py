"""What all visitors of the page share: a saved run, and what is derived from it once."""

import contextlib
from dataclasses import dataclass
from functools import cached_property

from utils.app.text import shown
from utils.data.ratings import index_of
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend import elicitation, profile, recommendations
from utils.report import latent_maps


@dataclass(frozen=True)
class Shared:
    """saved: a `utils.recommend.saved.Saved`, or what does the same for a blend."""

    saved: object

    def warm(self):
        """Read and derive all that the first page takes, so that no visitor waits for it."""
        best = {int(self.order[0]): self.saved.split.ratings.scale[1]}
        with contextlib.suppress(UserError):  # of a model that knows nobody but its own users, as its list will say
            recommendations.recommend(self.saved, profile.somebody(self.saved.split, best), "best", 1)
        return self.titles, self.labels

    @property
    def movies(self):
        """The `Movies` of the run."""
        return self.saved.run.movies

    @property
    def scale(self):
        """(lowest, highest) stars."""
        return self.saved.split.ratings.scale

    @cached_property
    def genres(self):
        """The names of all genres."""
        return self.movies.genre_names

    @cached_property
    def years(self):
        """(first, last) year of a movie; None where all that is known is one year, or none."""
        known = [year for year in self.movies.years if year]
        return (min(known), max(known)) if len(set(known)) > 1 else None

    @cached_property
    def titles(self):
        """The index that finds a movie by what somebody types."""
        return Titles(self.movies)

    @cached_property
    def labels(self):
        """{title as one says it: index of the movie}, each title once."""
        found = {}
        for movie, title in enumerate(self.movies.titles):
            label = shown(title)
            found[label if label not in found else f"{label} [{self.movies.ids[movie]}]"] = movie
        return found

    @cached_property
    def order(self):
        """The movies to ask somebody new about."""
        return elicitation.order(self.saved.split)

    @cached_property
    def map(self):
        """The map of all movies that have enough ratings."""
        return latent_maps.movie_map(self.saved, most=None)

    def indices(self, items):
        """Indices of the movies of an answer's items."""
        return index_of(self.movies.ids, [item["movieId"] for item in items]).tolist()
