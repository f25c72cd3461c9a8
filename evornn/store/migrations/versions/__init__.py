"""One file per change of the schema, numbered; never edited once released."""
