"""What stands in the documents of the fixture `folder`, and a question about it."""

QUESTION = "When is the launch of the Heron satellite?"
SECRETS = [
    "A bee dances in the hive to show the way to a flower field.",
    "The launch of the Heron satellite is planned for the fourth of May.",
    "The budget of the Heron project is forty thousand euros.",
    QUESTION,
]
