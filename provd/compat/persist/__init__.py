"""Old package of the document store; see `common`."""
