"""Multi-task dense prediction with losses weighed by learned homoscedastic uncertainty."""

__version__ = "0.1.0"
