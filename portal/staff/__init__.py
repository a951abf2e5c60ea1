"""The back office: dashboard of jobs and letters, for staff and admin only."""
