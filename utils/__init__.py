"""Code that is no model: packages by topic."""
