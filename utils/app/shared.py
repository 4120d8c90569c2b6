"""What all visitors of the page share: a saved run, and what is computed from it once."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.app import elicitation
from utils.app.text import shown
from utils.data.ratings import index_of
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend import profile, recommendations
from utils.report import latent_maps

if TYPE_CHECKING:
    from utils.recommend.saved import Saved
    from utils.report.latent_maps import Point
    from utils.scoring.protocols import Indices


class Shared:
    """A saved run, and what is computed from it once. scale: (lowest, highest) stars. data: names the data."""

    def __init__(self, saved: Saved) -> None:
        self.data = saved.run.config["sha256"][:8]
        self.saved, self.movies, self.scale = saved, saved.run.movies, saved.ratings.scale

    def warm(self) -> None:
        """Compute whatever the first page needs, so that no visitor waits for it."""
        ratings = {int(self.order[0]): self.scale[1]}
        with contextlib.suppress(UserError):  # from a model that takes no new users, as its list will say
            recommendations.recommend(self.saved, profile.of_ratings(self.saved.ratings, ratings), "best", 1)
        if self.saved.neighbourhoods:
            np.asarray(self.saved.space.movies)  # whole, so that no list reads a part of it
        _ = self.titles, self.labels

    @cached_property
    def titles(self) -> Titles:
        """Return the index that finds a movie by what somebody types."""
        return self.saved.run.titles

    @cached_property
    def labels(self) -> dict[str, int]:
        """Return {title as one says it: index of the movie} of the best-known movies, as many as a map has, which a
        search completes: a browser takes seconds for tens of thousands. Equal titles are told apart by ids."""
        labels: dict[str, int] = {}
        for movie in np.argsort(-self.saved.ratings.movie_known, kind="stable")[: latent_maps.MOST].tolist():
            label = shown(self.movies.titles[movie])
            labels[label if label not in labels else f"{label} [{self.movies.ids[movie]}]"] = movie
        return labels

    def find(self, text: str) -> int:
        """Return the index of the movie that was chosen or typed, or of the best-known one whose title holds the text;
        a `UserError` where there is none."""
        if text in self.labels:
            return self.labels[text]
        try:
            return profile.find_movie(self.titles, text)
        except UserError:
            part = text.strip().casefold()
            if part and (held := [movie for label, movie in self.labels.items() if part in label.casefold()]):
                return held[0]
            raise

    @cached_property
    def order(self) -> Indices:
        """Return the movies to ask a new visitor about, in this order."""
        return elicitation.order(self.saved.split)

    @cached_property
    def map(self) -> list[Point]:
        """Return the points of the map of the best-known movies."""
        return latent_maps.kept_map(self.saved)["points"]

    def indices(self, items: list[dict[str, Any]]) -> list[int]:
        """Return the indices of the movies of recommended items."""
        return index_of(self.movies.ids, [item["movieId"] for item in items]).tolist()
