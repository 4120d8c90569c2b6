"""Files of somebody's own ratings: the formats of sites and spreadsheets."""
