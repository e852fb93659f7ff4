"""The tasks, one file each: generator, wording, worked solution, and a solver that reads the question's text."""
