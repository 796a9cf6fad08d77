"""Functions whose code is a directory that somebody works in: copied, watched, copied again."""
