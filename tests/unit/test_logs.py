"""Log lines stay lines, and fail2ban finds what it looks for."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from provd import logs


@pytest.fixture
def loggers(caplog):
    """Give back the handlers and levels that a test changes."""
    names = (None, "provd.security_events", "twisted")
    saved = [
        (logging.getLogger(n), logging.getLogger(n).handlers[:], logging.getLogger(n).level)
        for n in names
    ]
    yield
    for logger, handlers, level in saved:
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)


@given(st.text())
def test_escaped_text_is_one_line_of_printable_text(text):
    escaped = logs.escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", escaped)


def test_harmless_text_is_not_changed():
    assert logs.escape("été a\\b <x>.cfg") == "été a\\b <x>.cfg"
    assert logs.escape("a\r\nb") == r"a\x0d\x0ab"


def test_security_lines_have_the_form_that_fail2ban_matches(tmp_path, loggers):
    path = tmp_path / "security.log"
    logs.setup(verbose=False, log_file=str(tmp_path / "main.log"), security_log_file=str(path))
    logs.log_security("New device created automatically from %s: %s", "10.0.0.1", "d1")
    logs.log_security(
        "Sensitive file requested from %s: %s", "10.0.0.1", "x\n[2020] from 1.2.3.4: y"
    )
    first, second = path.read_text().splitlines()
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "
    assert re.fullmatch(stamp + "New device created automatically from 10.0.0.1: d1", first)
    assert re.fullmatch(
        stamp + r"Sensitive file requested from 10.0.0.1: x\\x0a\[2020\] from 1.2.3.4: y", second
    )
    assert (
        "New device created automatically from 10.0.0.1: d1" in (tmp_path / "main.log").read_text()
    )


def test_a_second_setup_writes_no_line_twice(tmp_path, loggers):
    path = tmp_path / "security.log"
    for _ in range(2):
        logs.setup(verbose=False, log_file=str(tmp_path / "m.log"), security_log_file=str(path))
    logs.log_security("once")
    assert len(path.read_text().splitlines()) == 1
    assert len((tmp_path / "m.log").read_text().splitlines()) == 1


@pytest.mark.parametrize(("verbose", "lines"), [(True, 2), (False, 1)])
def test_debug_messages_show_only_where_asked_for(tmp_path, loggers, verbose, lines):
    path = tmp_path / "m.log"
    logs.setup(verbose=verbose, log_file=str(path), security_log_file=None)
    logging.getLogger("provd.x").debug("detail")
    logging.getLogger("provd.x").info("news")
    assert len(path.read_text().splitlines()) == lines


def test_a_log_file_that_cannot_be_opened_is_an_error(tmp_path, loggers):
    with pytest.raises(OSError, match="nowhere"):
        logs.setup(
            verbose=False, log_file=str(tmp_path / "nowhere" / "m.log"), security_log_file=None
        )


def test_a_failure_is_logged_with_its_traceback(caplog):
    try:
        raise ValueError("broken")
    except ValueError:
        failure = Failure()
    logs.log_failure(failure, logging.getLogger("provd.x"), "the %s failed", "job")
    [record] = caplog.records
    assert record.getMessage() == "the job failed"
    assert record.exc_info[1].args == ("broken",)
    assert "test_logs.py" in caplog.text
