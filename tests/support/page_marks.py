"""What a page has between two marks, which is generated."""


def between(page, begin, end):
    """Return that of a page's text."""
    return page.partition(begin)[2].partition(end)[0]


def put_between(path, begin, end, text):
    """Write another text there."""
    before, _, rest = path.read_text().partition(begin)
    path.write_text(f"{before}{begin}{text}{end}{rest.partition(end)[2]}")
