"""No test asserts a time, those that make up their examples included: a machine may be busy."""

import hypothesis

hypothesis.settings.register_profile("mirage", deadline=None)
hypothesis.settings.load_profile("mirage")
