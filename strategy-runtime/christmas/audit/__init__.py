"""Recomputes what an account did from its journal, its venue and the database, and tells every difference."""
