"""``python -m ledger`` is the ``ledger`` command; nothing else happens here."""

from ledger.cli import main

if __name__ == "__main__":
    main()
