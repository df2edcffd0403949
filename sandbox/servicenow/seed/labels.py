"""Labels of choices and columns in English and German (API reference §5.3)."""

_LEVELS = (("1", "1 - High", "1 - Hoch"), ("2", "2 - Medium", "2 - Mittel"), ("3", "3 - Low", "3 - Niedrig"))
_INCIDENT_STATES = (
    ("1", "New", "Neu"),
    ("2", "In Progress", "In Bearbeitung"),
    ("3", "On Hold", "Zurückgestellt"),
    ("6", "Resolved", "Gelöst"),
    ("7", "Closed", "Geschlossen"),
    ("8", "Canceled", "Abgebrochen"),
)
CHOICES = {
    ("task", "impact"): _LEVELS,
    ("task", "urgency"): _LEVELS,
    ("task", "priority"): (
        ("1", "1 - Critical", "1 - Kritisch"),
        ("2", "2 - High", "2 - Hoch"),
        ("3", "3 - Moderate", "3 - Mäßig"),
        ("4", "4 - Low", "4 - Niedrig"),
        ("5", "5 - Planning", "5 - Planung"),
    ),
    ("task", "state"): (
        ("-5", "Pending", "Ausstehend"),
        ("1", "Open", "Offen"),
        ("2", "Work in Progress", "In Arbeit"),
        ("3", "Closed Complete", "Geschlossen"),
        ("4", "Closed Incomplete", "Unvollständig geschlossen"),
        ("7", "Closed Skipped", "Übersprungen"),
    ),
    ("task", "approval"): (
        ("not requested", "Not Yet Requested", "Noch nicht angefordert"),
        ("requested", "Requested", "Angefordert"),
        ("approved", "Approved", "Genehmigt"),
        ("rejected", "Rejected", "Abgelehnt"),
    ),
    ("task", "upon_approval"): (
        ("proceed", "Proceed to Next Task", "Weiter zur nächsten Aufgabe"),
        ("do_nothing", "Wait for a User to Close this task", "Warten, bis jemand die Aufgabe schließt"),
    ),
    ("task", "upon_reject"): (
        ("cancel", "Cancel all future Tasks", "Alle künftigen Aufgaben abbrechen"),
        ("goto", "Go to a previous Task", "Zurück zu einer früheren Aufgabe"),
    ),
    ("task", "escalation"): (
        ("0", "Normal", "Normal"), ("1", "Moderate", "Mäßig"), ("2", "High", "Hoch"), ("3", "Overdue", "Überfällig"),
    ),
    ("task", "contact_type"): (
        ("email", "Email", "E-Mail"),
        ("phone", "Phone", "Telefon"),
        ("self-service", "Self-service", "Self-Service"),
        ("walk-in", "Walk-in", "Persönlich"),
    ),
    ("incident", "severity"): _LEVELS,
    ("incident", "notify"): (
        ("1", "Do Not Notify", "Nicht benachrichtigen"),
        ("2", "Send Email", "E-Mail senden"),
    ),
    ("incident", "state"): _INCIDENT_STATES,
    ("incident", "incident_state"): _INCIDENT_STATES,
    ("incident", "hold_reason"): (
        ("1", "Awaiting Caller", "Warten auf Anrufer"),
        ("3", "Awaiting Problem", "Warten auf Problem"),
        ("4", "Awaiting Vendor", "Warten auf Lieferanten"),
        ("5", "Awaiting Change", "Warten auf Änderung"),
    ),
    ("incident", "category"): (
        ("inquiry", "Inquiry / Help", "Anfrage / Hilfe"),
        ("software", "Software", "Software"),
        ("hardware", "Hardware", "Hardware"),
        ("network", "Network", "Netzwerk"),
        ("database", "Database", "Datenbank"),
    ),
    ("incident", "close_code"): tuple(
        (name, name, name)
        for name in (
            "Duplicate", "Known error", "No resolution provided", "Resolved by caller",
            "Resolved by change", "Resolved by problem", "Resolved by request", "Solution provided",
            "User error", "Workaround provided",
        )
    ),
}  # fmt: skip
SUBCATEGORIES = {
    "inquiry": (
        ("antivirus", "Antivirus"),
        ("email", "Email"),
        ("internal application", "Internal Application"),
    ),
    "software": (("email", "Email"), ("os", "Operating System")),
    "hardware": (("cpu", "CPU"), ("disk", "Disk"), ("keyboard", "Keyboard"), ("monitor", "Monitor")),
    "network": (("dhcp", "DHCP"), ("dns", "DNS"), ("vpn", "VPN"), ("wireless", "Wireless")),
    "database": (("db2", "DB2"), ("oracle", "Oracle"), ("sql server", "MS SQL Server")),
}

# Column labels. Missing ones are English in every language.
GERMAN = {
    "number": "Nummer", "active": "Aktiv", "state": "Status", "short_description": "Kurzbeschreibung",
    "description": "Beschreibung", "priority": "Priorität", "impact": "Auswirkung", "urgency": "Dringlichkeit",
    "assigned_to": "Zugewiesen zu", "assignment_group": "Zuweisungsgruppe", "opened_by": "Geöffnet von",
    "opened_at": "Geöffnet", "closed_by": "Geschlossen von", "closed_at": "Geschlossen",
    "due_date": "Fälligkeitsdatum", "cmdb_ci": "Configuration Item", "caller_id": "Anrufer",
    "category": "Kategorie", "subcategory": "Unterkategorie", "hold_reason": "Grund für Zurückstellung",
    "close_code": "Lösungscode", "close_notes": "Abschlussnotizen", "comments": "Kommentare",
    "work_notes": "Arbeitsnotizen", "contact_type": "Kanal", "watch_list": "Beobachtungsliste",
}  # fmt: skip
