"""The only SQL of this service: people with what they belong to, and the audit trail."""
