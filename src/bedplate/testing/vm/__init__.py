"""A small language for tests with real machines: a dozen verbs, and a console that is read along the way.

Every wait has a limit and ends early when the console shows a trouble that the test did not announce.
Every step is logged as a sentence.
"""
