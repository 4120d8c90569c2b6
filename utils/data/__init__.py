"""What goes in: the table of ratings, titles, what is held out, side features, known sets."""
