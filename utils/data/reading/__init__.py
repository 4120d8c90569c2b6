"""How files become tables. `utils.data.datasets` is the way in.

downloads, archives   known sets: fetched, checked, extracted
tables, parquet       rating files, strict, with the line of whatever is wrong
textfiles, values     lines and fields of text; numbers and ids
sidetables            movies, users, tags
scales                which stars a rating can have
"""
