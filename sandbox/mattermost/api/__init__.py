"""REST API v4, one module per resource."""
