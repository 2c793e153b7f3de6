"""An event-sourced record ledger: every submission, verdict and correction is a fact in one log.

A map of the house, from the words to the doors::

    vocabulary   scalar types, closed lists, the clock      content    what a record says
    evidence     what backs a verdict                       events     every fact the log can hold
    errors       every refusal                              commands   what may be asked, as bodies
    in_force     which gates and policies hold              codec      events <-> stored bytes
    record       the aggregate's state                      rules      may this happen?
    evaluation   does a verdict agree with its evidence?    governance gates and policies going live
    actors       API keys                                   artifacts  content-addressed files
    keys         whose key is this, remembered              arrivals   answers, on the event loop
    store/       the port, and its SQLite adapter           engine     load, decide, append
    application  one method per command                     importing/ pages of other publishers
    settings     every setting                              service    the composition root
    worker       runs the projections                       web/       API and pages
    cli          the ``ledger`` command

The read side stands beside this package, in ``projections/``.
"""

__version__ = "0.1.0"
