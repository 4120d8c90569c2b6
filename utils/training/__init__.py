"""How a model is trained: batches, the loop, the command line of options, the search for better ones."""
