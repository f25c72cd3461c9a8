"""From an equation to a program: a table of instructions on rows of vectors."""
