"""Log lines stay lines, and fail2ban finds what it looks for."""

import logging
import os
import re
import threading
import time

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
    first, second = lines_of(path)
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "
    assert re.fullmatch(stamp + "New device created automatically from 10.0.0.1: d1", first)
    assert re.fullmatch(
        stamp + r"Sensitive file requested from 10.0.0.1: x\\x0a\[2020\] from 1.2.3.4: y", second
    )
    assert (
        "New device created automatically from 10.0.0.1: d1" in lines_of(tmp_path / "main.log")[0]
    )


def test_a_second_setup_writes_no_line_twice(tmp_path, loggers):
    path = tmp_path / "security.log"
    for _ in range(2):
        logs.setup(verbose=False, log_file=str(tmp_path / "m.log"), security_log_file=str(path))
    logs.log_security("once")
    assert len(lines_of(path)) == 1
    assert len(lines_of(tmp_path / "m.log")) == 1


@pytest.mark.parametrize(("verbose", "lines"), [(True, 2), (False, 1)])
def test_debug_messages_show_only_where_asked_for(tmp_path, loggers, verbose, lines):
    path = tmp_path / "m.log"
    logs.setup(verbose=verbose, log_file=str(path), security_log_file=None)
    logging.getLogger("provd.x").debug("detail")
    logging.getLogger("provd.x").info("news")
    assert len(lines_of(path)) == lines


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


def lines_of(path):
    for handler in (*logging.getLogger().handlers, *logs.security_logger.handlers):
        handler.flush()
    return path.read_text().splitlines()


def test_lines_come_in_order_and_a_warning_is_there_at_once(tmp_path, loggers):
    path = tmp_path / "m.log"
    logs.setup(verbose=False, log_file=str(path), security_log_file=None)
    logger = logging.getLogger("provd.x")
    for number in range(100):
        logger.info("line %d", number)
    logger.warning("now")
    texts = [line.rpartition(": ")[2] for line in path.read_text().splitlines()]
    assert texts == [*(f"line {number}" for number in range(100)), "now"]


def test_lines_are_written_soon_without_a_warning(tmp_path, loggers):
    path = tmp_path / "m.log"
    logs.setup(verbose=False, log_file=str(path), security_log_file=None)
    deadline = time.monotonic() + 10
    for number in range(3):
        logging.getLogger("provd.x").info("line %d", number)
        while len(path.read_text().splitlines()) <= number:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_lines_of_several_threads_stay_whole(tmp_path, loggers):
    path = tmp_path / "m.log"
    logs.setup(verbose=False, log_file=str(path), security_log_file=None)

    def work(name):
        for number in range(300):
            logging.getLogger(name).log(
                logging.WARNING if number % 50 == 0 else logging.INFO, "x" * 200
            )

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = lines_of(path)
    assert len(lines) == 1200
    assert all(line.endswith("x" * 200) for line in lines)


def test_lines_after_a_fork_are_written_once(tmp_path, loggers):
    path = tmp_path / "m.log"
    logs.setup(verbose=False, log_file=str(path), security_log_file=None)
    logging.getLogger("provd.x").warning("before")
    child = os.fork()
    if child == 0:
        logging.getLogger("provd.x").info("in the child")
        logging.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    logging.getLogger("provd.x").warning("after")
    assert [line.rpartition(": ")[2] for line in lines_of(path)] == [
        "before",
        "in the child",
        "after",
    ]


def test_a_line_that_comes_after_the_end_is_not_lost(tmp_path, loggers, capsys):
    stream = (tmp_path / "m.log").open("a")
    handler = logs.LineHandler(stream, closes=False)
    handler.close()
    handler.handle(logging.makeLogRecord({"msg": "late", "levelno": logging.INFO}))
    assert (tmp_path / "m.log").read_text() == "late\n"
    stream.close()


def test_the_time_of_a_line_is_local_with_milliseconds():
    record = logging.makeLogRecord({"msg": "x"})
    record.created, record.msecs = 1769854830.987, 987.0
    shown = logs.LineFormatter("%(asctime)s").format(record)
    assert shown == logging.Formatter("%(asctime)s").format(record)
