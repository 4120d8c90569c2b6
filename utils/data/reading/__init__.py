"""Read files into tables. `utils.data.datasets` is the entry point.

downloads, archives   known sets: downloaded, verified, extracted
tables, parquet       rating files, strict, with the line of whatever is wrong
textfiles, values     lines and fields of text; numbers and ids
sidetables            movies, users, tags
scales                which stars a rating can have
"""
