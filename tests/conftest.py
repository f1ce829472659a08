"""What all tests share: the reactor, and the check that a test leaves nothing behind."""

import pytest
from hypothesis import settings
from twisted.internet import defer

# A busy machine is no reason to fail; speed is measured in benchmarks/.
settings.register_profile("provd", deadline=None)
settings.load_profile("provd")


@pytest.fixture(autouse=True)
def no_unhandled_deferred_error(caplog):
    """Fail a test that leaves a Deferred with an error nobody looked at."""
    import gc
    import logging

    from twisted.logger import globalLogPublisher

    errors = []

    def observe(event):
        if event.get("log_failure") is not None and "Unhandled" in (event.get("log_format") or ""):
            errors.append(event["log_failure"])

    globalLogPublisher.addObserver(observe)
    logging.getLogger("twisted").setLevel(logging.ERROR)
    yield
    if errors or defer.DebugInfo:
        gc.collect(0)
    globalLogPublisher.removeObserver(observe)
    assert not errors, f"unhandled errors in Deferreds: {errors}"
