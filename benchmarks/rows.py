"""The rows of `accuracy.py`: {name: (model with its options, data and protocol, the row that it is compared with)}.
What options were tried, on validation, is in results/README.md."""

ML1M, U1 = "--data ml-1m --protocol random", "--data ml-100k --protocol u1"
SMALL = "--target hidden --dropout 0.5 --decay 0.95"
BIG = "--hidden 500 --batch-size 256 --l2 0.03 --dropout 0.5"
STEPS = "--learning-rate 0.001 --batch-size 64 --sparsity 1.5e-5"
KERNEL = f"--l2 0.06 {STEPS}"
BIG_KERNEL = f"{BIG} --learning-rate 0.001 --decay 1 --sparsity 1e-6"
STARS = "--hidden 500,500 --activation sigmoid --no-baseline --no-implicit --no-normalise --dropout 0"  # as in papers
GLOBAL = f"glocalk {STARS} --l2 0.045 {STEPS} --decay 1"
PAPER = f"{STARS} --optimizer lbfgs --iterations 10"
RATING = {
    "ml-1m/bias": ("bias", ML1M, None),
    "ml-1m/autorec-movies": (f"autorec --rows movies {BIG}", ML1M, None),
    "ml-1m/autorec-users": ("autorec", ML1M, None),
    "ml-1m/sparsefc": (f"sparsefc {BIG_KERNEL}", ML1M, "ml-1m/autorec-movies"),
    "ml-1m/glocalk": (f"glocalk {BIG_KERNEL}", ML1M, "ml-1m/sparsefc"),
    "ml-1m/sparsefc-tuned": ("sparsefc", ML1M, None),
    "ml-1m/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0632 --sparsity 1.4e-5", ML1M, "ml-1m/autorec-movies"),
    "ml-1m/bayesfm": ("bayesfm", ML1M, "ml-1m/autorec-movies"),
    "u1/bias": ("bias", U1, None),
    "u1/autorec-users": ("autorec", U1, None),
    "u1/autorec-movies": (f"autorec --rows movies --hidden 500 {SMALL}", U1, None),
    "u1/deeprec": ("deeprec --rows movies --hidden 256,256,512 --target hidden --dropout 0.5", U1, None),
    "u1/bayesfm": ("bayesfm", U1, "u1/autorec-movies"),
    "u1/sparsefc": (f"sparsefc {SMALL} {KERNEL}", U1, "u1/autorec-movies"),
    "u1/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0707 --sparsity 2e-5", U1, "u1/sparsefc"),
    "u1/glocalk": (f"glocalk {SMALL} {KERNEL}", U1, "u1/sparsefc"),
    "u1/glocalk-shuffled": (f"glocalk {SMALL} {KERNEL}", U1, "u1/glocalk"),
    "u1/glocalk-stars": (GLOBAL, U1, "u1/glocalk"),
    "u1/glocalk-stars-shuffled": (GLOBAL, U1, "u1/glocalk-stars"),
}
SIDE = {}  # the same with side features, one kind at a time and all
for data in ("ml-1m", "u1"):
    for names in ("genres", "year", "age", "gender", "occupation", "genres,year,age,gender,occupation"):
        model, options, _ = RATING[f"{data}/autorec-movies"]
        SIDE[f"{data}/side-{names}"] = (f"{model} --side {names}", options, f"{data}/autorec-movies")
RATING |= SIDE
ALL = "--side genres,year,age,gender,occupation"
FM = f"bayesfm --ordinal {ALL},bayesfm {ALL}"
KNOWING = f"{FM},sparsefc {SMALL} {KERNEL} {ALL},autorec {ALL},content"  # what movies and users are
DATED = KNOWING.replace("bayesfm", "bayesfm --dates")
EDLAE_BESIDE = "--linear-relax 0 --linear-movie-norm 0"  # joint with EDLAE as in its paper
EARLIER_STEPS = "--learning-rate 0.001 --average 0"  # of joint by default, before it took larger ones
SMALL_STEPS = f"{EARLIER_STEPS} --batch-size 64 --patience 8"
EARLIER_JOINT = f"{SMALL_STEPS} --movie-landmarks 0"
OF_BOTH = f"autorec,joint {EDLAE_BESIDE} --no-movie-rows {EARLIER_JOINT}"
PLAIN = f"bayesfm --ordinal,bayesfm,autorec --rows movies --hidden 500 {SMALL},{OF_BOTH}"  # ratings alone
PROBIT = f"bayesfm --rank 20 --samples 150 --ordinal {ALL}"
AVERAGED = f"autorec --rows movies {BIG} {ALL} --average 0.9"
SIDED = f"joint {ALL} --weight 0.03 --movie-size 256 --movie-epochs 35 {SMALL_STEPS}"  # of ratings above all
OF_VECTORS = "--movie-size 256 --movie-epochs 50 --movie-batch-size 64 --movie-l2 0.06"
FEW_MOVIES = f"joint {ALL} --weight 0.03 {OF_VECTORS} {SMALL_STEPS}"
RANK = "--rank 22"  # as searches found
FILMTRUST = "--data data/filmtrust/ratings.csv --duplicates last --protocol random"  # results/README.md says whence
BUNDLED = "--data ml-latest-small-2016 --protocol random"
RATING |= {
    "ml-1m/blend": (f"blend --parts 'autorec --rows movies {BIG} {ALL},{PROBIT},itemknn,content'", ML1M, None),
    "ml-1m/side-average": (AVERAGED, ML1M, f"ml-1m/side-{ALL.split()[1]}"),
    "ml-1m/blend-average": (f"blend --parts '{AVERAGED},joint {EARLIER_JOINT},{PROBIT},itemknn,content'", ML1M, None),
    "ml-1m/joint-side": (SIDED, ML1M, "ml-1m/side-average"),
    "ml-1m/blend-joint": (
        f"blend --parts '{SIDED} --movie-landmarks 0,autorec {ALL} --average 0.9,{PROBIT},itemknn,content'",
        ML1M,
        None,
    ),
    "u1/joint-side": (FEW_MOVIES, U1, f"u1/side-{ALL.split()[1]}"),
    "u1/blend-joint": (f"blend --parts '{FEW_MOVIES},{KNOWING}'", U1, None),
    "u1/blend": (f"blend --parts '{PLAIN}'", U1, None),
    "u1/blend-side": (f"blend --parts '{KNOWING}'", U1, None),
    "u1/blend-dates": (f"blend --parts '{DATED}'", U1, None),
    **{f"u{i}/blend-side": (f"blend --parts '{KNOWING}'", U1.replace("u1", f"u{i}"), None) for i in range(2, 6)},
    "filmtrust/blend": ("blend", FILMTRUST, None),
    "bundled/blend": ("blend --parts 'autorec --rows movies,bayesfm --ordinal,bayesfm,itemknn,content'", BUNDLED, None),
    "bundled/blend-rank": (
        f"blend --parts 'joint {EARLIER_JOINT},bayesfm --ordinal {RANK},bayesfm {RANK},content'",
        BUNDLED,
        None,
    ),
    "bundled/blend-three": (
        f"blend --parts 'joint --movie-landmarks 0,bayesfm --ordinal {RANK},content'",
        BUNDLED,
        None,
    ),
    "bundled/blend-joint": (
        f"blend --parts 'joint {EARLIER_JOINT},sparsefc,bayesfm --ordinal,bayesfm,content'",
        BUNDLED,
        None,
    ),
}

STRONG, MIXED = (f"--data ml-1m --protocol {name} --held-out 600" for name in ("strong", "strong-ratings"))
PLAIN_EASE = "--relax 0 --movie-norm 0"  # EASE and EDLAE as in their papers
RELAXED = f"--weight 1 --dropout 0.5 --batch-size 100 --patience 10 {EARLIER_STEPS}"
FAST = f"{RELAXED} {EDLAE_BESIDE}"
EDLAE = f"--l2 200 --dropout 0.5 {PLAIN_EASE}"
LIANG = "--dropout 0.5 --learning-rate 0.001 --beta 0.2"  # of the paper
WIDE = "--hidden 600,200 --anneal 2000 --batch-size 500"
IALS = "n_components=128 alpha0=0.1 reg=0.003 train_epochs=16"
VAE = "dim_z=200 enc_hidden_dims=600 train_epochs=60"
RANKING = {
    "strong/popularity": ("popularity", STRONG, None),
    "strong/itemknn": ("itemknn", STRONG, None),
    "strong/ease": (f"ease --l2 600 --dropout 0 {PLAIN_EASE}", STRONG, None),
    "strong/elsa": ("elsa --patience 10", STRONG, "strong/ease"),
    "strong/edlae": (f"ease {EDLAE}", STRONG, "strong/ease"),
    "strong/ease-relaxed": ("ease --l2 200 --dropout 0.5", STRONG, "strong/edlae"),
    "strong/multdae": ("multdae", STRONG, "strong/edlae"),
    "strong/multdae-sample": ("multdae --sample 500", STRONG, "strong/multdae"),
    "strong/multvae": (f"multvae --hidden 200 --anneal 5000 {LIANG}", STRONG, "strong/edlae"),
    "strong/multvae-tuned": ("multvae", STRONG, "strong/multvae"),
    "strong/multdae-logistic": ("multdae --loss logistic", STRONG, "strong/multdae"),
    "strong/recvae": ("recvae --patience 6", STRONG, "strong/edlae"),
    "strong/recvae-linear": ("recvae --patience 6 --linear", STRONG, "strong/recvae"),
    "strong/joint": (f"joint {FAST}", STRONG, "strong/edlae"),
    "strong/joint-relaxed": (f"joint {RELAXED}", STRONG, "strong/joint"),
    "strong/joint-logistic": (f"joint {FAST} --likes-loss logistic", STRONG, "strong/joint"),
    "strong/irspack-ease": ("irspack DenseSLIMRecommender reg=600", STRONG, "strong/ease"),
    "strong/irspack-edlae": ("irspack EDLAERecommender reg=200 dropout_p=0.5", STRONG, "strong/edlae"),
    "strong/irspack-ials": (f"irspack IALSRecommender {IALS}", STRONG, "strong/edlae"),
    "strong/irspack-multvae": (f"irspack MultVAERecommender {VAE}", STRONG, "strong/multvae"),
    "strong-ratings/edlae": (f"ease {EDLAE} --no-signed", MIXED, None),
    "strong-ratings/ease-signed": (f"ease --signed --l2 1000 --dropout 0 {PLAIN_EASE}", MIXED, None),
    "strong-ratings/edlae-signed": (
        f"ease --signed --l2 500 --dropout 0.5 {PLAIN_EASE}",
        MIXED,
        "strong-ratings/edlae",
    ),
    "strong-ratings/elsa": ("elsa --patience 10", MIXED, "strong-ratings/edlae-signed"),
    "strong-ratings/recvae-signed": ("recvae --signed --patience 6", MIXED, "strong-ratings/edlae-signed"),
    "strong-ratings/joint": (f"joint {FAST}", MIXED, "strong-ratings/edlae-signed"),
}
BOTH = f"joint {RELAXED} --likes-loss logistic,joint {RELAXED},elsa --patience 10"
EVERY = f"joint {RELAXED} --likes-loss logistic,recvae --patience 6,elsa --patience 10,multdae --loss logistic"
RANKED = f"joint {FAST},recvae --patience 6,ease {EDLAE}"
RANKING |= {
    "strong/blend": (f"blend --parts '{RANKED}'", STRONG, None),
    "strong/blend-both": (f"blend --parts '{BOTH},ease --l2 200 --dropout 0.5'", STRONG, None),
    "strong/blend-all": (f"blend --parts '{EVERY},ease --l2 200 --dropout 0.5'", STRONG, None),
    "strong-ratings/blend": (f"blend --parts '{RANKED.replace('--l2 200', '--l2 500')}'", MIXED, None),
    "strong-ratings/blend-both": (f"blend --parts '{BOTH},ease --l2 500 --dropout 0.5'", MIXED, None),
    "strong-ratings/blend-all": (f"blend --parts '{EVERY},ease --l2 500 --dropout 0.5'", MIXED, None),
    "filmtrust/blend-likes": ("blend", FILMTRUST, None),
}

# What one option does, all else being as it is by default: {kind: {what is varied: its values}}, docs/experiments.md.
STARS_ON, LIKES_ON = "--data ml-100k --protocol random", STRONG
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
VARIED = {
    "stars": {  # autorec, RMSE on ML-100K, three splits
        "rows": ("--rows movies",),
        "latent size": tuple(f"--hidden {n}" for n in SIZES if n != 128),
        "depth": ("--hidden 256,128", "--hidden 512,256,128"),
        "activation": tuple(f"--activation {name}" for name in ("sigmoid", "relu", "selu", "linear")),
        "dropout": tuple(f"--dropout {share}" for share in (0, 0.4, 0.6, 0.8)),
        "loss": ("--target hidden", "--target hidden --dropout 0.5"),
        "input": ("--no-baseline", "--no-implicit", "--no-normalise"),
        "penalty": ("--l2 0", "--l2 0.02", "--l2 0.2"),
        "optimiser": ("--optimizer sgd --learning-rate 0.1", "--optimizer sgd --learning-rate 1", "--optimizer lbfgs"),
        "averaged weights": ("--average 0.8", "--average 0.9"),
        "side features": ("--side genres,year", "--side age,gender,occupation", ALL),
    },
    "likes": {  # multdae, NDCG@100 on ML-1M's held-out users, two splits
        "latent size": tuple(f"--hidden {n}" for n in SIZES),
        "depth": ("--hidden 600,200", "--hidden 600,400,200"),
        "activation": tuple(f"--activation {name}" for name in ("sigmoid", "relu", "linear")),
        "dropout": tuple(f"--dropout {share}" for share in (0, 0.25, 0.75)),
        "loss": ("--loss logistic", "--loss squared"),
        "penalty": ("--l2 0", "--l2 1e-4"),
        "averaged weights": ("--average 0.8", "--average 0.9"),
        "batch size": ("--batch-size 25", "--batch-size 500"),
    },
}
BASES = {"stars": ("autorec", STARS_ON), "likes": ("multdae", LIKES_ON)}
EXPERIMENTS = {f"{kind}/as it is": (*BASES[kind], None) for kind in VARIED} | {
    f"{kind}/{options}": (f"{BASES[kind][0]} {options}", BASES[kind][1], f"{kind}/as it is")
    for kind, varied in VARIED.items()
    for values in varied.values()
    for options in values
}
ROWS = RATING | RANKING | EXPERIMENTS
