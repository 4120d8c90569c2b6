"""From a person's ratings to a list: strategies, filters, explanations, everyone at once."""
