DROP TABLE outbox;
DROP TABLE known_browsers;
DROP TABLE email_otp_challenges;
DROP TABLE password_reset_tokens;
DROP TABLE email_verification_tokens;
