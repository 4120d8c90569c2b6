"""Options kept in a TOML file: what is written is read again, and the command line counts before it."""

from pathlib import Path

import pytest

import recommend
from recommend import QUESTIONS, Options
from utils.command_line import options, presets
from utils.errors import UserError


def parsed(*argv):
    return options.parse(Options, presets.read(argv, Options, QUESTIONS), "recommend.py", "")


def preset(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return f"--preset={path}"


def test_what_is_written_is_read_again(tmp_path):
    words = ["--ratings", "my ümlaut \u007f.csv", "--ratings-scale", "1,10", "--without-genre", "Film-Noir", 'a "b"']
    words += ["--years", "1980-", "--explain", "--no-verify", "-n", "7", "--diverse", "0.25", "--by", "decoder"]
    presets.write(tmp_path / "a.toml", parsed(*words))
    assert parsed("--preset", str(tmp_path / "a.toml")) == parsed(*words, "--preset", str(tmp_path / "a.toml"))
    lines = (tmp_path / "a.toml").read_text(encoding="utf-8").splitlines()
    assert 'without-genre = ["Film-Noir", "a \\"b\\""]' in lines
    assert {"verify = false", "n = 7"} <= set(lines)
    assert not any(line.startswith(("min-ratings", "json")) for line in lines)  # which are as by default


def test_the_command_line_counts_before_the_file(tmp_path):
    given = preset(tmp_path, 'n = 3\ngenre = ["War", "Drama"]\nuser = 42\nratings-scale = [1, 10]\nexplain = true')
    config = parsed(given, "--ratings", "a.csv", "-n", "5", "--genre", "Comedy", "--no-explain")
    assert (config.n, config.filters.genre, config.explain) == (5, ("Comedy",), False)
    assert config.user is None  # another question is asked
    assert (config.ratings, config.ratings_scale) == ((Path("a.csv"),), (1.0, 10.0))
    kept = parsed(preset(tmp_path, 'user = 42\ngenre = ["War", "Drama"]'))
    assert (kept.user, kept.n, kept.filters.genre) == ("42", 10, ("War", "Drama"))


def test_another_question_than_that_of_the_file_is_asked_of_the_script(tmp_path):
    with pytest.raises(UserError, match="--for-all takes two or more people"):
        recommend.main([preset(tmp_path, "user = 42"), "--for-all", "3"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n = ", r"mine.toml: this is no TOML that can be read: Invalid value"),
        ("horror = true", "mine.toml: there is no option horror; --help lists them"),
        ('preset = "other.toml"', "mine.toml: there is no option preset"),
        ("[genre]\na = 1", "mine.toml: genre takes a text, a number, or a list of these"),
        ("n = true", "mine.toml: n takes a text, a number, or a list of these"),
        ("explain = 3", "mine.toml: explain takes true or false"),
        ("genre = []", "mine.toml: genre takes a text"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        parsed(preset(tmp_path, text), "--user", "1")


def test_a_file_that_is_missing_is_said(tmp_path):
    with pytest.raises(UserError, match=r"none.toml can't be read \(No such file"):
        parsed("--preset", str(tmp_path / "none.toml"), "--user", "1")


def test_what_is_as_by_default_is_not_written_even_where_it_was_typed(tmp_path):
    presets.write(
        tmp_path / "a.toml", parsed("--user", "1", "--diverse", "0.0", "--by", "best", "--max-ratings", "3000")
    )
    assert (tmp_path / "a.toml").read_text() == 'user = "1"\nmax-ratings = 3000\n'
