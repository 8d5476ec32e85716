"""What the errors say is one line, whatever the names of files are."""

import pickle

from sfar.errors import VideoError, one_line


def test_signs_that_steer_a_terminal_are_escaped():
    assert one_line("a\nb\t\x1b[31m\u2028ü \udcff\\n") == "a\\nb\\t\\x1b[31m\\u2028ü \udcff\\n"
    e = VideoError("a\nb.mp4: is damaged", "empty")
    again = pickle.loads(pickle.dumps(e))
    assert str(e) == str(again) == "a\\nb.mp4: is damaged"
