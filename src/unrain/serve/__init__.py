"""The page and the HTTP API: one process, one port, the same engine as the command line. Needs the extra `web`.

`app.py` has the routes, `jobs.py` the work, `store.py` what is kept of it, `worker.py` the process that does it.
"""
