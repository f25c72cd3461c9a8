"""From a comparison to what people look at: figures, tables, the HTML report, the terminal."""
