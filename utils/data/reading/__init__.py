"""Read files into tables. `utils.data.datasets` is the entry point.

known_sets, downloads   MovieLens sets: downloaded, verified, unpacked
formats                 the formats of rating files: known ones, headings, none
tables, arrow           rating files, strict, with the line of whatever is wrong
textfiles, values       lines and fields of text; numbers and ids
sidetables              movies, users, tags
scales                  which stars a rating can have
"""
