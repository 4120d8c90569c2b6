"""What tune.py finds for each model on the bundled data and on ML-1M, and whether it holds on other splits.

python benchmarks/searches.py                        lists the searches and the command of each
python benchmarks/searches.py SEARCH [SEARCH ...]    searches (or goes on): results/searches/*.csv, searches.csv
python benchmarks/searches.py --again MODEL [...]    the defaults beside what was found, on the validation ratings of
                                                     two other splits: searches_again.csv
python benchmarks/searches.py --record SEARCH [...]  writes down searches that tune.py did into the folders of the list

No test rating is read by any of it. One thread each (OMP_NUM_THREADS=1, TF_NUM_INTRAOP_THREADS=1), so that two can run
side by side."""

import argparse
import json
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

import tables

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
RECORDS = tables.RESULTS / "searches"
FOLDERS = REPOSITORY / "runs" / "tune"
BUNDLED, STARS = "--data ml-latest-small-2016", "--data ml-1m"
LIKES = "--data ml-1m --protocol strong --held-out 600"
TRIALS, SEEDS = 40, (1, 2)
MINUTES = {  # of each model's searches on the bundled data and on ML-1M
    "bias": (1, 1), "itemknn": (2, 1.5), "content": (2, 2), "ease": (1, 2), "elsa": (3, 4), "multdae": (4, 6),
    "multvae": (4, 6), "cdae": (4, 6), "autorec": (4, 9), "joint": (7, 16), "recvae": (5, 20), "sparsefc": (5, 18),
    "bayesfm": (4, 14), "deeprec": (3, 10), "glocalk": (4, 18),
}  # fmt: skip
SHORTER = {  # on ML-1M, where a trial of these would take too much of the time; what was found is trained to its end
    "joint": "--epochs 30", "recvae": "--epochs 12", "deeprec": "--epochs 15", "bayesfm": "--samples 100",
    "sparsefc": "--epochs 12 --batch-size 256", "glocalk": "--epochs 12 --batch-size 256",
}  # fmt: skip
OF_LIKES = ("ease", "elsa", "multdae", "multvae", "cdae", "joint", "recvae")  # judged by ranking for new users of ML-1M
SEARCHES = {f"bundled/{model}": (model, BUNDLED, minutes) for model, (minutes, _) in MINUTES.items()} | {
    f"ml-1m/{model}": (f"{model} {SHORTER.get(model, '')}".strip(), LIKES if model in OF_LIKES else STARS, minutes)
    for model, (_, minutes) in MINUTES.items()
}


def folder(search):
    """Where a search is kept."""
    return FOLDERS / search.replace("/", "-")


def run(search):
    """Search, or go on with it."""
    import tune

    model, data, minutes = SEARCHES[search]
    words = f"{model} {data} --trials {TRIALS} --minutes {minutes}".split()
    tune.main([*words, "--out", str(folder(search))])


def record(search):
    """Keep the trials of a search, and a line of what it found."""
    from utils.runs import run_folder

    model, data, minutes = SEARCHES[search]
    found = json.loads((folder(search) / "best.json").read_text(encoding="utf-8"))
    RECORDS.mkdir(exist_ok=True)
    shutil.copyfile(folder(search) / "trials.csv", RECORDS / f"{search.replace('/', '-')}.csv")
    facts = found["found"]
    options = {one: value for one, value in found["options"].items() if one not in ("epochs", "samples")}
    if facts["value"] == facts["defaults"]:
        options = {}
    line = {"search": search, "command": f"{model} {data} --trials {TRIALS} --minutes {minutes}"}
    line |= {name: facts[name] for name in ("figure", "trials", "defaults", "value")}
    line |= {
        "options": json.dumps(options),
        "importance": json.dumps(facts["importance"]),
        "commit": run_folder.commit(),
    }
    tables.update("searches.csv", [line], key="search")


def again(model):
    """Defaults and findings on splits that no search saw, by the same figure."""
    import models
    import train
    from utils.runs import run_folder
    from utils.training import search_space
    from utils.training.objective import Objective, release
    from utils.training.training import Training

    found = {line["search"]: json.loads(line["options"]) for line in tables.read("searches.csv")}
    asked = {"defaults": {}} | {search: options for search, options in found.items() if search.endswith(f"/{model}")}
    lines, known = [], {}
    for on in asked:
        if on == "defaults":
            continue
        for seed in SEEDS:
            for name, options in asked.items():
                if name != "defaults" and not options:
                    continue  # the defaults are what was found
                words = [model, *search_space.typed(options), *SEARCHES[on][1].split(), "--seed", str(seed)]
                _, chosen, config = train.parse(words)
                if tuple(words) not in known:  # the same may have been found on both sets
                    data, split = train.read(chosen)
                    untrained = partial(models.for_data, model, data=data, seed=seed)
                    objective = Objective(untrained, config, {}, data, split)
                    training = Training()
                    objective.model.fit(split.train, split.validation, training)
                    if training.interrupted:
                        sys.exit(training.failed or "interrupted")
                    value = round(objective.value(objective.model), 5)
                    release(objective.model)
                    known[tuple(words)] = {"figure": objective.figure, "value": value, "commit": run_folder.commit()}
                lines.append({"model": model, "options": name, "on": on.split("/")[0], "seed": seed})
                lines[-1] |= known[tuple(words)]
                print(lines[-1], flush=True)
                tables.update("searches_again.csv", lines, key="model")


def table():
    """The table of docs/experiments.md: what was found, and what it is worth on other splits."""
    from utils.training import search_space

    elsewhere, shown = tables.read("searches_again.csv"), []
    for line in tables.read("searches.csv"):
        data, model = line["search"].split("/")
        options = shlex.join(search_space.typed(json.loads(line["options"])))  # none where the defaults were the best
        mattered = json.loads(line["importance"])
        gains = {}
        for on in ("bundled", "ml-1m"):
            values = {}
            for of in (of for of in elsewhere if (of["model"], of["on"]) == (model, on)):
                values.setdefault(of["seed"], {})[of["options"]] = float(of["value"])
            found = [of[line["search"]] - of["defaults"] for of in values.values() if line["search"] in of]
            gains[on] = f"{sum(found) / len(found):+.4f} ({min(found):+.4f}, {max(found):+.4f})" if found else ""
        most = ", ".join(f"{name} {share:.0%}" for name, share in list(mattered.items())[:2])
        held = f", `{SHORTER[model]}`" if data == "ml-1m" and model in SHORTER else ""
        row = {"model": f"`{model}`", "data": data + held, "figure": line["figure"], "trials": line["trials"]}
        row |= {"defaults": f"{float(line['defaults']):.4f}", "best": f"{float(line['value']):.4f}"} | gains
        shown.append(row | {"options": f"`{options}`" if options else "the defaults", "most": most.replace("_", "-")})
    columns = {"model": "model", "data": "data", "figure": "figure", "options": "best options", "most": "what mattered"}
    columns |= {
        "trials": "trials",
        "defaults": "begun with",
        "best": "best",
        "bundled": "again, bundled",
        "ml-1m": "again, ML-1M",
    }
    return tables.markdown(sorted(shown, key=lambda row: row["model"]), columns, left=5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("searches", nargs="*", metavar="SEARCH")
    parser.add_argument("--again", nargs="+", choices=list(MINUTES), metavar="MODEL")
    parser.add_argument("--record", action="store_true", help="write down what is in the folders of the searches")
    chosen = parser.parse_args()
    if unknown := set(chosen.searches) - set(SEARCHES):
        parser.error(f"no such search: {', '.join(sorted(unknown))}")
    for model in chosen.again or ():
        again(model)
    for search in chosen.searches:
        if not chosen.record:
            run(search)
        record(search)
    if not chosen.searches and not chosen.again:
        for search, (model, data, minutes) in SEARCHES.items():
            out = folder(search).relative_to(REPOSITORY)
            print(f"{search:18} python tune.py {model} {data} --trials {TRIALS} --minutes {minutes} --out {out}")
