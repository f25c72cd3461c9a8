"""Tools of the repository, which are not shipped."""
