"""Finds out how a CSV file is written; `sniffer.sniff` is the whole of it.

- `file_scan`: what only the whole file tells: its encoding, escapes, comments, the last line.
- `delimiters`: the delimiter and the quote. `escapes`: whether a backslash escapes quotes.
- `layout`: title lines, comments, the header, a line of units, delimiters at the end of lines.
- `field_kinds`: whether a field looks like a number, a time, or text.
"""
