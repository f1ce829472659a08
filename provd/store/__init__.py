"""Document stores behind one interface: memory, SQLite, MongoDB."""
