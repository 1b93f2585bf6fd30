"""Names of W&B that a script may use and that have no counterpart here."""

WITHOUT_COUNTERPART = frozenset(
    """
    Artifact Audio Graph Histogram Html Image Molecule Object3D Plotly Settings Table Video
    alert define_metric link_artifact log_artifact log_code login mark_preempting save setup
    teardown unwatch use_artifact use_model watch
    """.split()
)
"""Calls of these are reported once and do nothing, so that the script goes on."""
