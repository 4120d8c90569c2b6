"""Read files into tables. `utils.data.datasets` is the entry point; a rating passes these in turn:

places       the file or files: of a known set (`downloads` fetches it), a folder, a path
textfiles    lines and fields of text, objects of JSON
layouts      which column is what: by `formats`, a heading, or the values of the first line
tables       files to columns of Arrow, and these to a Table; `values` converts numbers, times and ids
scales       which stars a rating can have
sidetables   movies, users, tags beside the ratings
"""
