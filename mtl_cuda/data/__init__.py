"""Data sets, their file formats, and the way from files to training samples."""
