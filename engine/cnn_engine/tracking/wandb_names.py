"""Names of W&B that a script may use and that have no counterpart here."""

WITHOUT_COUNTERPART = frozenset(
    """
    Api Artifact Audio Graph Histogram Html Image Molecule Object3D Plotly Settings Table Video
    agent alert controller data_types define_metric errors link_artifact log_artifact log_code
    log_model login mark_preempting plot plot_table restore save sdk setup sweep teardown termerror
    termlog termwarn unwatch use_artifact use_model util watch
    """.split()
)
"""Uses of these are reported once and do nothing, so that the script goes on."""
