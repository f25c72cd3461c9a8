"""People's files and frames as tables: what was read, how it is scaled and split. Knows neither tasks nor networks."""
