"""HTTP that all REST APIs share: responses, content negotiation and request checks."""
