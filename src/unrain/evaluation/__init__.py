"""How good a derained picture is: suites, methods, metrics, tables, figures, the report. No training here."""
