"""What the choices of problems, changes, approvals and articles are called, in English and German."""

_PROBLEM_STATES = (
    ("101", "New", "Neu"),
    ("102", "Assess", "Bewerten"),
    ("103", "Root Cause Analysis", "Ursachenanalyse"),
    ("104", "Fix in Progress", "Behebung in Arbeit"),
    ("106", "Resolved", "Gelöst"),
    ("107", "Closed", "Geschlossen"),
)
_CATEGORIES = (
    ("software", "Software", "Software"),
    ("hardware", "Hardware", "Hardware"),
    ("network", "Network", "Netzwerk"),
    ("database", "Database", "Datenbank"),
)
CHOICES = {
    ("problem", "state"): _PROBLEM_STATES,
    ("problem", "problem_state"): _PROBLEM_STATES,
    ("problem", "category"): _CATEGORIES,
    ("problem", "resolution_code"): (
        ("fix_applied", "Fix Applied", "Behebung angewendet"),
        ("risk_accepted", "Risk Accepted", "Risiko akzeptiert"),
        ("duplicate", "Duplicate", "Duplikat"),
        ("canceled", "Canceled", "Abgebrochen"),
    ),
    ("change_request", "state"): (
        ("-5", "New", "Neu"),
        ("-4", "Assess", "Bewerten"),
        ("-3", "Authorize", "Autorisieren"),
        ("-2", "Scheduled", "Geplant"),
        ("-1", "Implement", "Implementieren"),
        ("0", "Review", "Prüfen"),
        ("3", "Closed", "Geschlossen"),
        ("4", "Canceled", "Abgebrochen"),
    ),
    ("change_request", "type"): (
        ("standard", "Standard", "Standard"),
        ("normal", "Normal", "Normal"),
        ("emergency", "Emergency", "Notfall"),
    ),
    ("change_request", "priority"): (
        ("1", "1 - Critical", "1 - Kritisch"),
        ("2", "2 - High", "2 - Hoch"),
        ("3", "3 - Moderate", "3 - Mäßig"),
        ("4", "4 - Low", "4 - Niedrig"),
    ),
    ("change_request", "category"): (
        ("Hardware", "Hardware", "Hardware"),
        ("Software", "Software", "Software"),
        ("Network", "Network", "Netzwerk"),
        ("Other", "Other", "Sonstiges"),
    ),
    ("change_request", "risk"): (
        ("1", "Very High", "Sehr hoch"),
        ("2", "High", "Hoch"),
        ("3", "Moderate", "Mittel"),
        ("4", "Low", "Niedrig"),
    ),
    ("change_request", "scope"): (
        ("1", "Massive", "Massiv"),
        ("2", "Large", "Groß"),
        ("3", "Medium", "Mittel"),
        ("4", "Small", "Klein"),
        ("5", "Tiny", "Winzig"),
    ),
    ("change_request", "phase"): (("requested", "Requested", "Angefordert"),),
    ("change_request", "phase_state"): (("open", "Open", "Offen"),),
    ("change_request", "close_code"): (
        ("successful", "Successful", "Erfolgreich"),
        ("successful_issues", "Successful with issues", "Erfolgreich mit Problemen"),
        ("unsuccessful", "Unsuccessful", "Nicht erfolgreich"),
    ),
    ("change_task", "state"): (
        ("-5", "Pending", "Ausstehend"),
        ("1", "Open", "Offen"),
        ("2", "In Progress", "In Bearbeitung"),
        ("3", "Closed", "Geschlossen"),
        ("4", "Canceled", "Abgebrochen"),
    ),
    ("change_task", "change_task_type"): (
        ("planning", "Planning", "Planung"),
        ("implementation", "Implementation", "Implementierung"),
        ("testing", "Testing", "Test"),
        ("review", "Review", "Prüfung"),
    ),
    ("change_task", "close_code"): (
        ("successful", "Successful", "Erfolgreich"),
        ("unsuccessful", "Unsuccessful", "Nicht erfolgreich"),
    ),
    ("sysapproval_approver", "state"): (
        ("not requested", "Not Yet Requested", "Noch nicht angefordert"),
        ("requested", "Requested", "Angefordert"),
        ("approved", "Approved", "Genehmigt"),
        ("rejected", "Rejected", "Abgelehnt"),
        ("cancelled", "No Longer Required", "Nicht mehr erforderlich"),
        ("not_required", "Not Required", "Nicht erforderlich"),
    ),
    ("kb_knowledge", "workflow_state"): (
        ("draft", "Draft", "Entwurf"),
        ("review", "Review", "Prüfung"),
        ("published", "Published", "Veröffentlicht"),
        ("pending_retirement", "Pending retirement", "Stilllegung ausstehend"),
        ("retired", "Retired", "Stillgelegt"),
        ("outdated", "Outdated", "Veraltet"),
    ),
}
