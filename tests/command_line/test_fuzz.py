"""The command line under arguments that nobody meant: it answers, or refuses with a sentence, and never breaks."""

import contextlib
import io
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evaluate
import export
import models
import recommend
import train
import tune
from utils.command_line import options
from utils.data.splits import PROTOCOLS
from utils.distributed import shards
from utils.errors import UserError

EXAMPLES = int(os.environ.get("REELSPACE_EXAMPLES", "40"))  # the slow job of docs/reliability.md asks for 10,000
NASTY = ["", "-", "--", "=", "nan", "inf", "-1", "0", "1e999", "9" * 30, "٣", "\0", "é", "a b", "../..", "-n", "--run"]
NASTY += ["5,", ","]
NASTY += ["[red]", "$(id)", "{}", "%s", "\n", "'", '"', "1-2-3", "true", "None"]
KINDS = {"train.py": train.Options, "evaluate.py": evaluate.Options, "recommend.py": recommend.Options}
KINDS |= {"tune.py": tune.Options, "export.py": export.Options, "shards": shards.Options}


def ended(call, *arguments):
    """What a call ends with, if not by itself: the exception. What it prints is dropped."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            call(*arguments)
        except (UserError, SystemExit) as error:
            return error
    return None


def is_answer(error):
    """Whether a call came to its end, showed its help, or said in a sentence why not."""
    if isinstance(error, SystemExit):
        return error.code in (0, None)
    return error is None or (0 < len(str(error)) < 2000 and len(str(error).splitlines()) <= 2)


def words(names):
    value = st.sampled_from([*NASTY, *models.names(), *PROTOCOLS, "1", "0.5", "2,3", "1980-1989"]) | st.text(max_size=8)
    option = st.sampled_from(sorted(set(names)))
    shortened = option.flatmap(lambda name: st.integers(3, len(name)).map(lambda n: name[:n]))
    return st.lists(option | option | value | shortened | st.builds("{}={}".format, option, value), max_size=7)


@pytest.mark.parametrize("script", KINDS)
def test_any_options_are_parsed_or_refused_with_a_sentence(script):
    kind = KINDS[script]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(words(options.option_names(kind)))
    def parsed(argv):
        assert is_answer(ended(options.parse, kind, argv, script, ""))

    parsed()


@pytest.mark.parametrize("name", ["bias", "itemknn", "ease", "popularity"])
def test_any_options_of_a_model_are_parsed_or_refused_with_a_sentence(name):
    config = models.module(name).Config

    @settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(words([*options.option_names(config), *options.option_names(train.Options)]))
    def parsed(argv):
        assert is_answer(ended(train.parse, [name, *argv]))

    parsed()


def test_any_question_is_answered_or_refused_with_a_sentence(run_of):
    folder = str(run_of("bias"))
    asks = ["--user", "--rate", "--like-movie", "--similar-users", "--genre", "--years", "-n", "--min-ratings", "--by"]
    text = st.sampled_from([*NASTY, "1", "planted 3=5", "Drama", "3=2"]) | st.text(max_size=12)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(asks), text), min_size=1, max_size=4))
    def asked(pairs):
        assert is_answer(ended(recommend.main, [word for pair in pairs for word in pair] + ["--run", folder]))

    asked()
