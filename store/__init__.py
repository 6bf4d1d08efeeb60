"""Remembers: Postgres through SQLAlchemy, one file per noun."""
