"""What schemathesis checks of each answer besides its own checks. Loaded by the tool, not by the tests."""

import schemathesis


@schemathesis.check
def documented_bodies_pass_the_schema(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """A body that the document allows may be refused for what it asks, and never for its shape."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    assert "Validation error:" not in response.text, f"the document allows what is refused: {response.text}"
