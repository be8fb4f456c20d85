"""The errors that unrain raises on purpose: one line that says what is wrong with what, and what to do."""


class UnrainError(Exception):
    """Base of all errors a user can cause. The command line prints its text and exits with status 1."""


class MediaError(UnrainError):
    """A file cannot be read as the picture or video that it should be, or cannot be written."""


class WeightsError(UnrainError):
    """A checkpoint or a step graph does not fit the network, or is not what the catalog says."""


class EngineError(UnrainError):
    """No engine can run the network on this machine as asked."""


class RecipeError(UnrainError):
    """A training recipe says something that cannot be done."""
