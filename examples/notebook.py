# %% [markdown]
# # Recommend from Python
# A notebook as a script: editors that know `# %%` run it cell by cell, `python examples/notebook.py` as a whole.
# It asks the run that was trained last: train one first, with `python train.py`.

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import models

run = models.load_run()

# %% [markdown]
# ## To a user of the data
# Each list is a pandas DataFrame, with a 90% range around the predicted stars where the model predicts stars.

# %%
user = run.saved.ratings.user_ids[0].item()
movies = run.recommend(user=user, n=5)
print(movies[["name", "year", "score"]])

# %% [markdown]
# ## To somebody who rates a few movies
# Titles are found as `recommend.py --rate` finds them; `attrs["notes"]` says what was taken otherwise than exactly.

# %%
rated = dict.fromkeys(movies["movieId"][:3], 5.0)
for_you = run.recommend(ratings=rated, n=5, explain=True)
print(for_you[["name", "year", "score"]])
print(for_you.attrs["notes"])

# %% [markdown]
# ## More like this, less like that

# %%
first, second, third = movies["title"][:3]
print(run.similar_movies(first, second, unlike=[third], n=5)[["name", "score"]])

# %% [markdown]
# ## A table for all users at once is what `recommend.py --all-users --parquet FILE` writes
# From here, a list a user:

# %%
lists = {user: run.recommend(user=user, n=3)["name"].tolist() for user in run.saved.ratings.user_ids[:3].tolist()}
print(lists)
