"""What crosses a process: events, batches, policies, enrolment, receipts. Imports nothing else of ours."""
