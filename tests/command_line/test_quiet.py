"""What TensorFlow writes while it is imported stays out of standard error; nothing else does."""

import os
import subprocess
import sys

from conftest import REPOSITORY

from utils.command_line import quiet

NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795661079.472157   24767 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1795661079.472157   24767 cuda_dnn.cc:8579] Unable to register cuDNN factory",
    "2026-11-26 02:18:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
]
MINE = ["x.py:3: DeprecationWarning: old", "F0000 00:00:1795661079.472157 24767 a.cc:1] fatal", "2026-11-26 is a date"]
WRITING = "import os, sys, threading, models\nfrom utils.command_line import quiet\n"
WRITING += "def write(text): os.write(2, text.encode())\n"


def errors(code, said=""):
    """What a process with this code writes to standard error; `said` is its first argument."""
    command = [sys.executable, "-c", WRITING + code, said]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=100)
    return done.stderr.splitlines()


def test_a_model_that_takes_tensorflow_is_imported_without_a_word():
    said = errors("models.module('autorec'); write('tensorflow' if 'tensorflow' in sys.modules else 'none')")
    assert said == ["tensorflow"]


def test_only_log_lines_are_left_out_and_none_where_the_import_fails():
    every = "\n".join(line for pair in zip(NOISE, [*MINE, *MINE], strict=False) for line in pair)
    code = """
with quiet.quietly():
    print("first", file=sys.stderr)
    write(sys.argv[1] + chr(10))
write("after" + chr(10))
try:
    with quiet.quietly():
        write(sys.argv[1] + chr(10))
        1 / 0
except ZeroDivisionError:
    write("failed")
"""
    assert errors(code, every) == ["first", *MINE, *MINE[:2], "after", *every.splitlines(), "failed"]


def test_other_threads_lose_nothing_and_need_not_wait():
    code = """
inside, written = threading.Event(), threading.Event()
def other():
    inside.wait(60)
    write(sys.argv[1] + chr(10))
    written.set()
thread = threading.Thread(target=other)
thread.start()
with quiet.quietly():
    inside.set()
    written.wait(60)
    write("meanwhile" + chr(10))
    os._exit(0)  # what was turned aside by now would be lost
"""
    assert errors(code, NOISE[1]) == [NOISE[1], "meanwhile"]


def test_what_is_written_after_the_import_is_nobodys_to_turn_aside():
    code = "sys.modules['tensorflow'] = sys\nwith quiet.quietly():\n write(sys.argv[1]); os._exit(0)"
    assert errors(code, NOISE[1]) == [NOISE[1]]


def test_a_closed_standard_error_is_no_reason_to_fail():
    code = "os.close(2)\nwith quiet.quietly(): pass\nprint('done')"
    command = [sys.executable, "-c", WRITING + code]
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout == "done\n"


def test_keras_computes_with_tensorflow_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")  # who wants to see its log says so
    monkeypatch.setenv("TF_CPU_ALLOCATOR_USE_BFC", "false")
    with quiet.quietly():
        pass
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_CPU_ALLOCATOR_USE_BFC"]) == ("0", "false")
