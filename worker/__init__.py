"""The enrolment worker: customer activity in, enrolments made, outcomes out."""
