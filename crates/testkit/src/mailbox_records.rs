//! Valid records about mailboxes: what proves one, and what waits to be sent to one. Typical ones, and for each kind a
//! collection of extremes that a store must return unchanged.

use identsphere_accounts::{CodeChallenge, EmailVerification, PasswordReset, User, VerificationKind};
use identsphere_core::OutboxEntry;
use identsphere_kernel::{Duration, MailId, Timestamp, TokenHash};

use crate::World;
use crate::builders::ends_of_time;

/// How long the outbox entries made here make sense.
const ENTRY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Typical records. Each call makes another one.
impl World {
    /// A confirmation of the user's present address.
    pub fn verification(&self, user: &User, kind: VerificationKind) -> EmailVerification {
        EmailVerification {
            hash: self.token_hash(),
            user: user.id,
            kind,
            email: user.email.clone(),
            created_at: self.now(),
            expires_at: self.now().plus(EmailVerification::LIFETIME),
        }
    }

    /// A password reset, sent to the user's present address.
    pub fn password_reset(&self, user: &User) -> PasswordReset {
        PasswordReset {
            hash: self.token_hash(),
            user: user.id,
            email: user.email.key().clone(),
            created_at: self.now(),
            expires_at: self.now().plus(PasswordReset::LIFETIME),
        }
    }

    /// A sign-in by code, sent to the user's present address.
    pub fn code_challenge(&self, user: &User) -> CodeChallenge {
        CodeChallenge {
            user: user.id,
            hash: self.token_hash(),
            email: user.email.key().clone(),
            created_at: self.now(),
            expires_at: self.now().plus(CodeChallenge::LIFETIME),
        }
    }

    /// Something to be done at once that nobody has begun with. What it is, is noise.
    pub fn outbox_entry(&self) -> OutboxEntry {
        OutboxEntry {
            id: MailId::new(&*self.clock, &*self.random),
            sealed: self.bytes::<300>().to_vec(),
            attempts: 0,
            created_at: self.now(),
            due_at: self.now(),
            expires_at: self.now().plus(ENTRY_LIFETIME),
        }
    }
}

/// Extremes. What can expire has not, for the whole of this world's time.
impl World {
    /// Confirmations of both kinds, of addresses at their limits, at both ends of time.
    pub fn extreme_verifications(&self, user: &User) -> Vec<EmailVerification> {
        let (created_at, expires_at) = ends_of_time();
        let emails = self.extreme_emails().into_iter().zip(self.extreme_hashes());
        let both = emails.flat_map(|(email, hash)| {
            [VerificationKind::Confirm, VerificationKind::Change].map(|kind| EmailVerification {
                hash,
                email: email.clone(),
                created_at,
                expires_at,
                ..self.verification(user, kind)
            })
        });
        both.collect()
    }

    /// Password resets for addresses at their limits, at both ends of time.
    pub fn extreme_resets(&self, user: &User) -> Vec<PasswordReset> {
        let (created_at, expires_at) = ends_of_time();
        let emails = self.extreme_emails().into_iter().zip(self.extreme_hashes());
        let all = emails.map(|(email, hash)| PasswordReset {
            hash,
            email: email.key().clone(),
            created_at,
            expires_at,
            ..self.password_reset(user)
        });
        all.collect()
    }

    /// Codes for addresses at their limits, at both ends of time.
    pub fn extreme_codes(&self, user: &User) -> Vec<CodeChallenge> {
        let (created_at, expires_at) = ends_of_time();
        let emails = self.extreme_emails().into_iter().zip(self.extreme_hashes());
        let all = emails.map(|(email, hash)| CodeChallenge {
            hash,
            email: email.key().clone(),
            created_at,
            expires_at,
            ..self.code_challenge(user)
        });
        all.collect()
    }

    /// Entries that say nothing, everything and much, tried often, at both ends of time. All are due.
    pub fn extreme_outbox_entries(&self) -> Vec<OutboxEntry> {
        let (early, late) = ends_of_time();
        let every_byte: Vec<u8> = (0..=u8::MAX).collect();
        let odd = Timestamp::from_unix_micros(1_000_001);
        vec![
            OutboxEntry { sealed: vec![], created_at: early, due_at: early, ..self.outbox_entry() },
            OutboxEntry { sealed: every_byte.clone(), created_at: late, ..self.outbox_entry() },
            OutboxEntry { sealed: every_byte.repeat(1_024), expires_at: late, ..self.outbox_entry() },
            OutboxEntry { sealed: vec![0; 64], attempts: 1_000_000, due_at: odd, ..self.outbox_entry() },
            OutboxEntry { attempts: 1, created_at: odd, expires_at: early, ..self.outbox_entry() },
        ]
    }

    /// As many hashes as there are extreme addresses, the first and the last one among them.
    fn extreme_hashes(&self) -> Vec<TokenHash> {
        let mut all = vec![TokenHash::from_bytes([0; 32]), TokenHash::from_bytes([u8::MAX; 32])];
        all.resize_with(self.extreme_emails().len(), || self.token_hash());
        all
    }
}
