"""Everything that is no model, in packages by topic.

data          the table of ratings, titles, what is held out, side features, known sets; reading/ the file formats
scoring       what recommending computes with, in numpy: baselines, latent space, neighbours, encoders, top-k
evaluation    figures of a model on ratings that it never saw
training      batches, the loop, the command line of options, the search for better ones
recommend     from a person's ratings to a list: strategies, filters, explanations, everyone at once
report        tables in the terminal, plots, the HTML report, maps of the latent space
app           the page
runs          the run folder, and files that are written whole or not at all
distributed   several workers, by Ray and tf.distribute
command_line  dataclasses as command lines, and how a script ends
"""
